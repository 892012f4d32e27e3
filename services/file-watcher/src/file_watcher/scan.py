"""What lies in the input folder and may be taken: the truth, of which inotify only gives hints."""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from tillstream.contracts.file_names import name_problem
from tillstream.contracts.rules import is_text

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


class InputFolder:
    """The folder in which partners drop. Folders in it that are not looked into are said once."""

    def __init__(self, folder: Path, default_source: str) -> None:
        self._folder = folder
        self._default_source = default_source
        self._told: set[str] = set()

    def scan(self) -> list[Dropped]:
        """Everything in the folder and, one level down, in the folders of sources, by name.

        Raises OSError where the folder itself cannot be read; a source's folder that cannot is passed over.
        """
        passed_over: dict[str, str] = {}
        found = list(_scan_one(self._folder, self._default_source))
        for entry in _folders_in(self._folder):
            if name_problem(entry.name) is not None or not is_text(entry.name):
                passed_over[entry.path] = "its name is not fit to be a source"
                continue
            try:
                of_source, deeper = list(_scan_one(Path(entry.path), entry.name)), _folders_in(entry.path)
            except FileNotFoundError:
                continue  # the partner has just removed it
            except OSError as error:
                passed_over[entry.path] = f"it cannot be read: {error.strerror}"
                continue
            found += of_source
            passed_over.update((each.path, "files are taken one level down only") for each in deeper)
        self._tell(passed_over)
        return sorted(found, key=lambda dropped: os.fsencode(dropped.path))

    def _tell(self, passed_over: Mapping[str, str]) -> None:
        for path in sorted(passed_over.keys() - self._told, key=os.fsencode):
            _log.warning(
                "A folder is passed over, with all that is in it.",
                folder=ascii(os.path.relpath(path, self._folder)),
                problem=passed_over[path],
            )
        self._told = set(passed_over)


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


def _folders_in(folder: str | Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return [each for each in entries if each.is_dir(follow_symlinks=False) and not _is_ignored(each.name)]


def _is_ignored(name: str) -> bool:
    return name.startswith(IGNORED_PREFIX) or name.lower().endswith(IGNORED_SUFFIXES)
