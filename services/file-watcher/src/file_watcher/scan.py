"""What lies in the input folder and may be taken: the truth, of which inotify only gives hints."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from tillstream.contracts.rules import is_text
from tillstream.folders import name_problem

IGNORED_SUFFIXES = (".tmp", ".part")
IGNORED_PREFIX = "."

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Dropped:
    """A name in the input folder as it looked in one scan, links not followed."""

    path: Path
    source: str
    inode: int
    bytes: int
    changed_ns: int
    is_regular: bool

    @property
    def looks(self) -> tuple[int, int, int]:
        """Stays equal while nobody writes."""
        return (self.inode, self.bytes, self.changed_ns)


def scan(folder: Path, default_source: str) -> list[Dropped]:
    """Everything in the folder and, one level down, in the folders of sources, by name. Raises OSError."""
    found = list(_scan_one(folder, default_source))
    for entry in _source_folders(folder):
        try:
            found += _scan_one(Path(entry.path), entry.name)
        except FileNotFoundError:
            continue  # the partner has just removed it
    return sorted(found, key=lambda dropped: os.fsencode(dropped.path))


def _scan_one(folder: Path, source: str) -> Iterator[Dropped]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if _is_ignored(entry.name):
                continue
            try:
                facts = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # gone between the listing and the look
            if not stat.S_ISDIR(facts.st_mode):
                yield Dropped(
                    path=Path(entry.path),
                    source=source,
                    inode=facts.st_ino,
                    bytes=facts.st_size,
                    changed_ns=facts.st_mtime_ns,
                    is_regular=stat.S_ISREG(facts.st_mode),
                )


def _source_folders(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        folders = [
            each for each in entries if each.is_dir(follow_symlinks=False) and not _is_ignored(each.name)
        ]
    good = [each for each in folders if name_problem(each.name) is None and is_text(each.name)]
    for each in folders:
        if each not in good:
            _log.warning(
                "A folder is passed over: its name is not fit to be a source.", folder=ascii(each.name)
            )
    return good


def _is_ignored(name: str) -> bool:
    return name.startswith(IGNORED_PREFIX) or name.lower().endswith(IGNORED_SUFFIXES)
