"""Opens the data folder to the services, once at each start: `python folders.py /data`.

Whoever drops files is another user than the services (10001) and Airflow (50000). Access control lists let both in without
opening the folders to everybody; their defaults are handed down to what is made in the folders later, such as a partner's own
sub-folder, out of which the services must be able to move a file. Where the file system has no such lists (Docker Desktop's,
some network ones), the folders are opened by their mode instead. May be run again; whatever is there is kept.

It runs as root among folders that others may rename at any moment, so it holds each folder open and follows no link below the
top ones: a link to `raw/`, put there in time, would otherwise open that. A folder below which it cannot open is told and left
as it is: whoever drops files must not be able to keep the whole system from starting.

The lists are written as the kernel stores them (linux/posix_acl_xattr.h), since no image of ours has `setfacl`.
"""

import errno
import os
import stat
import struct
import sys
from collections.abc import Mapping
from pathlib import Path

SERVICES_UID = 10001
AIRFLOW_UID = 50000
READ, WRITE, PASS = 4, 2, 1
ALL = READ | WRITE | PASS
FOLDERS = ("input", "work", "processed", "error", "invalid", "output", "raw")
OPENED_TO = {
    "output": {SERVICES_UID: ALL, AIRFLOW_UID: ALL},
    "raw": {AIRFLOW_UID: READ | PASS},
}
OPEN_MODE = 0o777
SHOWN_CHARACTERS = 200

_VERSION = 2
_OWNER, _USER, _GROUP, _MASK, _OTHERS = 0x01, 0x02, 0x04, 0x10, 0x20
_NOBODY = 0xFFFFFFFF
_ACCESS, _DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
type _Entry = tuple[int, int]  # its kind, and whom it names
_NO_LISTS = (errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)


def main(root: Path) -> int:
    """Opens all folders; says where only modes did."""
    for name in FOLDERS:
        folder = root / name
        folder.mkdir(exist_ok=True)
        _open_with_folders_below(folder.resolve(), OPENED_TO.get(name, {SERVICES_UID: ALL}))
    return 0


def _open_with_folders_below(top: Path, users: dict[int, int]) -> None:
    """Raises OSError for the top folder only."""
    handle = os.open(top, _FOLDER_FLAGS)
    try:
        _open(handle, str(top), users)
    finally:
        os.close(handle)
    for place, _, _, handle in os.fwalk(top, onerror=_tell):
        if place == str(top):
            continue
        try:
            _open(handle, place, users)
        except OSError as error:
            _tell(error, place)


def _tell(error: OSError, place: str | None = None) -> None:
    if error.errno != errno.ENOENT:  # it was moved away meanwhile
        where = str(place or error.filename)[:SHOWN_CHARACTERS]
        print(f"{where!r} is not opened to the services: {error.strerror}.")


def _open(folder: int, place: str, users: Mapping[int, int]) -> None:
    facts = os.stat(folder)
    if facts.st_mode & stat.S_ISVTX:  # would keep the services from moving somebody else's file out of it
        os.chmod(folder, stat.S_IMODE(facts.st_mode) & ~stat.S_ISVTX)
    # The folder's owner keeps the hand on what the services make there.
    opened = {(_USER, user): rights for user, rights in {facts.st_uid: ALL, **users}.items()}
    base = {
        (_OWNER, _NOBODY): facts.st_mode >> 6 & ALL,
        (_GROUP, _NOBODY): facts.st_mode >> 3 & ALL,
        (_OTHERS, _NOBODY): facts.st_mode & ALL,
    }
    try:
        access = _list_of(folder, _ACCESS) or base
        default = _list_of(folder, _DEFAULT) or access
        for attribute, there in ((_ACCESS, access), (_DEFAULT, default)):
            os.setxattr(folder, attribute, _written({**there, **opened, (_MASK, _NOBODY): ALL}))
    except OSError as error:
        if error.errno not in _NO_LISTS:
            raise
        os.chmod(folder, OPEN_MODE)
        print(
            f"{place[:SHOWN_CHARACTERS]!r} is on a file system without access control lists; its mode is now {OPEN_MODE:o}."
        )


def _list_of(folder: int, attribute: str) -> dict[_Entry, int]:
    """What is there already, which stays: somebody may have let others in. Empty where there is no list."""
    try:
        written = os.getxattr(folder, attribute)
    except OSError as error:
        if error.errno != errno.ENODATA:
            raise
        return {}
    entries = struct.iter_unpack("<HHI", written[struct.calcsize("<I") :])
    return {(tag, who): rights for tag, rights, who in entries}


def _written(entries: Mapping[_Entry, int]) -> bytes:
    """A list as the kernel wants it: ordered by the kind of entry, and by whom it names."""
    return struct.pack("<I", _VERSION) + b"".join(
        struct.pack("<HHI", tag, rights, who) for (tag, who), rights in sorted(entries.items())
    )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
