"""Marker files: an empty `<name>.done` beside a file says that its partner has finished it.

A marker counts only if it is no older than its file, by the time of the last change (ctime), which the file system sets and
nobody can set back. So a marker that was left over never makes the next file of that name look finished.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tillstream.folders import sync_folder

# A larger file is data whose name only ends so: it is never removed as a marker.
MAX_MARKER_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class Marker:
    """A marker as one scan saw it, at `place`."""

    place: str
    changed_ns: int

    @property
    def path(self) -> Path:
        return Path(self.place)

    def remove(self) -> None:
        """Durably, unless it is gone or was written again, for a file that is still to come. Raises OSError."""
        path = self.path
        try:
            if path.lstat().st_ctime_ns != self.changed_ns:
                return
            path.unlink()
        except FileNotFoundError:
            return
        sync_folder(path.parent)


@dataclass(frozen=True, slots=True)
class MarkerRule:
    """`suffix` is that of markers, with its dot; None where files need none."""

    suffix: str | None

    @property
    def is_on(self) -> bool:
        return self.suffix is not None

    def read(self, place: str, facts: os.stat_result) -> Marker | None:
        """The marker at a place, or None where what lies there is none."""
        if self.suffix is None or not place.endswith(self.suffix) or place.endswith(os.sep + self.suffix):
            return None
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > MAX_MARKER_BYTES:
            return None
        return Marker(place, facts.st_ctime_ns)

    def beside(self, name: str, arrived_ns: int, markers: Mapping[str, Marker]) -> Marker | None:
        """The marker that says that this file, whose last change was at `arrived_ns`, is finished."""
        marker = markers.get(f"{name}{self.suffix}")
        return marker if marker is not None and marker.changed_ns >= arrived_ns else None

    def alone(self, markers: Mapping[str, Marker], names: Iterable[str]) -> Iterator[Path]:
        """Those of a folder's markers whose file is not among its names."""
        wanted = {f"{name}{self.suffix}" for name in names}
        return (marker.path for name, marker in markers.items() if name not in wanted)

    def spent_on(self, path: Path, claimed: os.stat_result) -> Marker | None:
        """The marker of a file that lay under `path` and was claimed, at the time of `claimed`; None where it is gone, or
        is a newer one's."""
        if self.suffix is None:
            return None
        place = path.with_name(f"{path.name}{self.suffix}")
        try:
            marker = self.read(str(place), place.lstat())
        except FileNotFoundError:
            return None
        return marker if marker is not None and marker.changed_ns <= claimed.st_ctime_ns else None
