"""What the machine offers: a user that PostgreSQL accepts, files that others may enter."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

LOCALHOST = "127.0.0.1"
READ_FOR_ALL = 0o444
RUN_FOR_ALL = 0o111
SERVER_USERS = ("postgres", "nobody")


class CannotRun(Exception):
    """One sentence for the person at the keyboard: what is missing, taken or full."""


@dataclass(frozen=True, slots=True)
class SystemUser:
    """A user that a server runs as when we are root."""

    name: str
    uid: int
    gid: int


def server_user() -> SystemUser | None:
    """The user for PostgreSQL, which refuses to run as root; None when we are not root and stay who we are."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in SERVER_USERS:
        if name in known:
            return SystemUser(name, known[name].pw_uid, known[name].pw_gid)
    raise CannotRun(f"PostgreSQL refuses to run as root, and none of the users {SERVER_USERS} exists here.")


def can_enter(user: SystemUser | None, path: Path) -> bool:
    """Whether the user may walk down to `path`; what does not exist yet is as open as its nearest parent."""
    if user is None:
        return True
    existing = next(place for place in (path, *path.parents) if place.exists())
    return all(_may_pass(user, place.stat()) for place in (existing.resolve(), *existing.resolve().parents))


def _may_pass(user: SystemUser, found: os.stat_result) -> bool:
    if found.st_uid == user.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == user.gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)


def give_to(user: SystemUser | None, path: Path) -> None:
    """Make the server's user the owner of one file or folder."""
    if user is not None:
        os.chown(path, user.uid, user.gid)


def open_to_all(folder: Path) -> None:
    """Let everybody read what lies in a folder, and run what its owner may run."""
    for path in (folder, *folder.rglob("*")):
        mode = path.lstat().st_mode
        if not stat.S_ISLNK(mode):
            path.chmod(mode | READ_FOR_ALL | (RUN_FOR_ALL if mode & stat.S_IXUSR else 0))
