"""Opens the data folder to the services, once at each start: `python folders.py /data`.

Whoever drops files is another user than the services (10001) and Airflow (50000). Access control lists let both in without
opening the folders to everybody; their defaults are handed down to what is made in the folders later, such as a partner's own
sub-folder, out of which the services must be able to move a file. Where the file system has no such lists (Docker Desktop's,
some network ones), the folders are opened by their mode instead. May be run again; whatever is there is kept.

The lists are written as the kernel stores them (linux/posix_acl_xattr.h), since no image of ours has `setfacl`.
"""

import errno
import os
import struct
import sys
from collections.abc import Iterator
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

_VERSION = 2
_OWNER, _USER, _GROUP, _MASK, _OTHERS = 0x01, 0x02, 0x04, 0x10, 0x20
_NOBODY = 0xFFFFFFFF
_ATTRIBUTES = ("system.posix_acl_access", "system.posix_acl_default")
_NO_LISTS = (errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)


def main(root: Path) -> int:
    """Opens all folders; says where only modes did."""
    for name in FOLDERS:
        folder = root / name
        folder.mkdir(exist_ok=True)
        for each in _with_folders_below(folder):
            _open(each, OPENED_TO.get(name, {SERVICES_UID: ALL}))
    return 0


def _with_folders_below(folder: Path) -> Iterator[Path]:
    yield folder
    for place, names, _ in folder.walk():
        yield from (place / name for name in names if not (place / name).is_symlink())


def _open(folder: Path, users: dict[int, int]) -> None:
    facts = folder.stat()
    try:
        # The folder's owner keeps the hand on what the services make there.
        entries = _entries(
            facts.st_mode, _rights_of_group(folder, facts.st_mode), {facts.st_uid: ALL, **users}
        )
        for attribute in _ATTRIBUTES:
            os.setxattr(folder, attribute, entries)
    except OSError as error:
        if error.errno not in _NO_LISTS:
            raise
        folder.chmod(OPEN_MODE)
        print(f"{folder} is on a file system without access control lists; its mode is now {OPEN_MODE:o}.")


def _rights_of_group(folder: Path, mode: int) -> int:
    """Once there is a list, the mode shows in the group's place the most that anybody named may have."""
    try:
        written = os.getxattr(folder, _ATTRIBUTES[0])
    except OSError as error:
        if error.errno != errno.ENODATA:
            raise
        return mode >> 3 & ALL
    entries = struct.iter_unpack("<HHI", written[struct.calcsize("<I") :])
    return int(next(rights for tag, rights, _ in entries if tag == _GROUP))


def _entries(mode: int, group: int, users: dict[int, int]) -> bytes:
    """One list: the owner, the named users in order, the group, the most that those may have, everybody else."""
    named = [(_USER, rights, user) for user, rights in sorted(users.items())]
    entries = [
        (_OWNER, mode >> 6 & ALL, _NOBODY),
        *named,
        (_GROUP, group, _NOBODY),
        (_MASK, ALL, _NOBODY),
        (_OTHERS, mode & (READ | PASS), _NOBODY),
    ]
    return struct.pack("<I", _VERSION) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
