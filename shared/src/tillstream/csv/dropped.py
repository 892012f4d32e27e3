"""What a dropped file is taken for by its name: a CSV that must have a known header, perhaps one, or text to keep."""

from collections.abc import Callable
from typing import BinaryIO

from tillstream.csv.encoding import Found
from tillstream.csv.header import Header, read_header
from tillstream.errors import FileRefused

# Text that is kept as it is, whatever its first line looks like.
TEXT_SUFFIX = ".txt"
# A file of such a name must have a header that is known; one of any other name is archived where it has not.
CSV_SUFFIXES = (".csv", ".tsv")


def is_kept_text(file_name: str) -> bool:
    """Whether a file is kept as it is, whatever it holds."""
    return file_name.lower().endswith(TEXT_SUFFIX)


def header_of_dropped(
    file: BinaryIO, file_name: str, find: Callable[[], Found] | None = None
) -> Header | None:
    """What a file holds; None for what is to be archived. Raises FileRefused.

    `find` tells the encoding as the whole file says it, or raises FileRefused; without it, the first bytes have to do.
    """
    if is_kept_text(file_name):
        return None
    try:
        return read_header(file, file_name, find() if find is not None else None)
    except FileRefused:
        if file_name.lower().endswith(CSV_SUFFIXES):
            raise
        return None
