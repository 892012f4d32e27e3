"""Opening what somebody else has put there."""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

from tillstream_dags.errors import Refused


def open_plain(path: Path) -> BufferedReader:
    """Open a file for reading; blocks for no pipe. Raises Refused for a link and for whatever else is no plain file.

    What is read here leaves the machine of Airflow, and a link may point to one of its secrets.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise Refused(f"{path} is a link, and links are not followed.") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise Refused(f"{path} is no plain file.")
    return os.fdopen(handle, "rb")
