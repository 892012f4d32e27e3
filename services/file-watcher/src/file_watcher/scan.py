"""What lies in the input folder and may be taken: the truth, of which inotify only gives hints."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from file_watcher.markers import Marker, MarkerRule
from tillstream.contracts.file_names import name_problem
from tillstream.contracts.rules import is_text

IGNORED_SUFFIXES = (".tmp", ".part")
IGNORED_PREFIX = "."
# What one scan holds in memory, about 1 KB each. More are found as soon as these are gone.
MAX_NAMES = 200_000


@dataclass(frozen=True, slots=True)
class Dropped:
    """A name in the input folder as it looked in one scan, links not followed. `changed_ns`: its content; `arrived_ns`: anything
    about it, its place included."""

    path: Path
    source: str
    inode: int
    bytes: int
    changed_ns: int
    arrived_ns: int
    is_regular: bool
    marker: Marker | None = None

    @property
    def looks(self) -> tuple[int, int, int]:
        """Stays equal while nobody writes."""
        return (self.inode, self.bytes, self.changed_ns)

    def looks_like(self, facts: os.stat_result) -> bool:
        """Whether this is still what the scan saw."""
        return self.looks == (facts.st_ino, facts.st_size, facts.st_mtime_ns)


@dataclass(slots=True)
class Found:
    """One scan. `passed_over` has a reason for each folder that was not looked into."""

    dropped: list[Dropped] = field(default_factory=list)
    lone_markers: list[Path] = field(default_factory=list)
    passed_over: dict[Path, str] = field(default_factory=dict)
    is_cut_short: bool = False


class InputFolder:
    """The folder in which partners drop."""

    def __init__(
        self, folder: Path, default_source: str, markers: MarkerRule, max_names: int = MAX_NAMES
    ) -> None:
        self._folder = folder
        self._default_source = default_source
        self._markers = markers
        self._max_names = max_names

    def scan(self) -> Found:
        """Everything in the folder and, one level down, in the folders of sources, by name; `max_names` at most.

        Raises OSError where the folder itself cannot be read; a source's folder that cannot is passed over.
        """
        found = Found()
        self._look_into(self._folder, self._default_source, found)
        for entry in _folders_in(self._folder):
            path = Path(entry.path)
            if name_problem(entry.name) is not None or not is_text(entry.name):
                found.passed_over[path] = "its name is not fit to be a source"
                continue
            try:
                self._look_into(path, entry.name, found)
                deeper = _folders_in(entry.path)
            except FileNotFoundError:
                continue  # the partner has just removed it
            except OSError as error:
                found.passed_over[path] = f"it cannot be read: {error.strerror}"
                continue
            found.passed_over.update(
                (Path(each.path), "files are taken one level down only") for each in deeper
            )
        found.dropped.sort(key=lambda dropped: os.fsencode(dropped.path))
        return found

    def _look_into(self, folder: Path, source: str, found: Found) -> None:
        room = self._max_names - len(found.dropped) - len(found.lone_markers)
        names = list(islice(_names_in(folder), room + 1))
        found.is_cut_short |= len(names) > room
        markers = {
            entry.name: marker
            for entry, facts in names
            if (marker := self._markers.read(Path(entry.path), facts)) is not None
        }
        files = [(entry, facts) for entry, facts in names[:room] if entry.name not in markers]
        found.dropped += (
            _dropped(entry, facts, source, self._markers.beside(entry.name, facts, markers))
            for entry, facts in files
        )
        found.lone_markers += self._markers.alone(markers, (entry.name for entry, _ in files))


def _dropped(entry: os.DirEntry[str], facts: os.stat_result, source: str, marker: Marker | None) -> Dropped:
    return Dropped(
        path=Path(entry.path),
        source=source,
        inode=facts.st_ino,
        bytes=facts.st_size,
        changed_ns=facts.st_mtime_ns,
        arrived_ns=facts.st_ctime_ns,
        is_regular=stat.S_ISREG(facts.st_mode),
        marker=marker,
    )


def _names_in(folder: Path) -> Iterator[tuple[os.DirEntry[str], os.stat_result]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if _is_ignored(entry.name):
                continue
            try:
                facts = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # gone between the listing and the look
            if not stat.S_ISDIR(facts.st_mode):
                yield entry, facts


def _folders_in(folder: str | Path) -> Iterable[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return [each for each in entries if each.is_dir(follow_symlinks=False) and not _is_ignored(each.name)]


def _is_ignored(name: str) -> bool:
    return name.startswith(IGNORED_PREFIX) or name.lower().endswith(IGNORED_SUFFIXES)
