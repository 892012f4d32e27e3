"""What lies in the input folder and may be taken: the truth, of which inotify only gives hints."""

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from file_watcher.markers import Marker, MarkerRule
from tillstream.contracts.file_names import UNFINISHED_PREFIX, is_unfinished, name_problem
from tillstream.contracts.rules import is_text

# What one scan holds in memory, about half a KB each. More are found as soon as these are gone.
MAX_NAMES = 200_000


@dataclass(frozen=True, slots=True)
class Dropped:
    """A name in the input folder as it looked in one scan, links not followed. `changed_ns`: its content; `arrived_ns`: anything
    about it, its place included.

    Many are held at once. What is small is let go fast, too, and no other thread of Python has a turn meanwhile: so no Path.
    """

    place: str
    source: str
    inode: int
    bytes: int
    changed_ns: int
    arrived_ns: int
    is_regular: bool
    marker: Marker | None = None

    @property
    def path(self) -> Path:
        return Path(self.place)

    @property
    def name(self) -> str:
        return self.place.rpartition(os.sep)[2]

    @property
    def looks(self) -> tuple[int, int, int]:
        """Stays equal while nobody writes."""
        return (self.inode, self.bytes, self.changed_ns)

    def looks_like(self, facts: os.stat_result) -> bool:
        """Whether this is still what the scan saw."""
        return self.looks == (facts.st_ino, facts.st_size, facts.st_mtime_ns)


class Unfinished(NamedTuple):
    """A file whose name says that it is still being written; `looks` is the time of its last change, in nanoseconds."""

    place: str
    looks: int


@dataclass(slots=True)
class Found:
    """One scan. `passed_over` has a reason for each folder that was not looked into. Unfinished files that begin with a dot are
    nobody's concern."""

    dropped: list[Dropped] = field(default_factory=list)
    lone_markers: list[Path] = field(default_factory=list)
    passed_over: dict[Path, str] = field(default_factory=dict)
    unfinished: list[Unfinished] = field(default_factory=list)
    is_cut_short: bool = False


def _no_step() -> None:
    """For whoever does not ask how far it is."""


class InputFolder:
    """The folder in which partners drop."""

    def __init__(
        self, folder: Path, default_source: str, markers: MarkerRule, max_names: int = MAX_NAMES
    ) -> None:
        self._folder = folder
        self._default_source = default_source
        self._markers = markers
        self._max_names = max_names

    def scan(self, step: Callable[[], None] = _no_step) -> Found:
        """Everything in the folder and, one level down, in the folders of sources, by name; `max_names` at most.

        Blocks for as long as the disk takes for a look at each name, and calls `step` before each. Raises OSError where the
        folder itself cannot be read; a source's folder that cannot is passed over.
        """
        found = Found()
        self._look_into(self._folder, self._default_source, found, step)
        for entry in _folders_in(self._folder, step):
            path = Path(entry.path)
            if name_problem(entry.name) is not None or not is_text(entry.name):
                found.passed_over[path] = "its name is not fit to be a source"
                continue
            try:
                self._look_into(path, entry.name, found, step)
                deeper = _folders_in(entry.path, step)
            except FileNotFoundError:
                continue  # the partner has just removed it
            except OSError as error:
                found.passed_over[path] = f"it cannot be read: {error.strerror}"
                continue
            found.passed_over.update(
                (Path(each.path), "files are taken one level down only") for each in deeper
            )
        found.dropped.sort(key=lambda dropped: os.fsencode(dropped.place))
        return found

    def _look_into(self, folder: Path, source: str, found: Found, step: Callable[[], None]) -> None:
        room = self._max_names - len(found.dropped) - len(found.lone_markers)
        markers: dict[str, Marker] = {}
        files: list[Dropped] = []
        for entry, facts in _names_in(folder, step):
            if len(files) + len(markers) == room:
                found.is_cut_short = True
                break
            if is_unfinished(entry.name):
                if len(found.unfinished) < self._max_names:
                    found.unfinished.append(Unfinished(entry.path, facts.st_ctime_ns))
                continue
            marker = self._markers.read(entry.path, facts)
            if marker is not None:
                markers[entry.name] = marker
            else:
                files.append(_dropped(entry, facts, source))
        found.lone_markers += self._markers.alone(markers, (each.name for each in files))
        found.dropped += (self._with_marker(each, markers) for each in files)

    def _with_marker(self, dropped: Dropped, markers: Mapping[str, Marker]) -> Dropped:
        marker = self._markers.beside(dropped.name, dropped.arrived_ns, markers) if markers else None
        return dropped if marker is None else replace(dropped, marker=marker)


def _dropped(entry: os.DirEntry[str], facts: os.stat_result, source: str) -> Dropped:
    return Dropped(
        place=entry.path,
        source=source,
        inode=facts.st_ino,
        bytes=facts.st_size,
        changed_ns=facts.st_mtime_ns,
        arrived_ns=facts.st_ctime_ns,
        is_regular=stat.S_ISREG(facts.st_mode),
    )


def _names_in(folder: Path, step: Callable[[], None]) -> Iterator[tuple[os.DirEntry[str], os.stat_result]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            step()
            if entry.name.startswith(UNFINISHED_PREFIX):
                continue
            try:
                facts = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # gone between the listing and the look
            if not stat.S_ISDIR(facts.st_mode):
                yield entry, facts


def _folders_in(folder: str | Path, step: Callable[[], None]) -> list[os.DirEntry[str]]:
    found = []
    with os.scandir(folder) as entries:
        for each in entries:
            step()
            if each.is_dir(follow_symlinks=False) and not is_unfinished(each.name):
                found.append(each)
    return found
