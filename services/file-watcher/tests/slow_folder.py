"""A folder on a mount that takes its time over every look at a name, or never answers."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Any, Self

WITHIN_S = 15.0  # a busy machine may keep a loop waiting for seconds; one that stands still never comes

type Look = Callable[[], None]


class SlowEntry:
    """Answers after `look`."""

    def __init__(self, entry: os.DirEntry[str], look: Look) -> None:
        self.name = entry.name
        self.path = entry.path
        self.is_dir = entry.is_dir
        self._entry = entry
        self._look = look

    def stat(self, *, follow_symlinks: bool) -> os.stat_result:
        self._look()
        return self._entry.stat(follow_symlinks=follow_symlinks)


class SlowListing:
    def __init__(self, folder: str | Path, look: Look) -> None:
        self._listing = _scandir(folder)
        self._look = look

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> SlowEntry:
        return SlowEntry(next(self._listing), self._look)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listing.close()


_scandir = os.scandir


def slow(folder: Path, look: Look) -> Callable[..., Any]:
    """An `os.scandir` for which the names in one folder are slow."""

    def listing(place: str | Path) -> Any:
        return SlowListing(place, look) if Path(os.fsdecode(place)) == folder else _scandir(place)

    return listing


class Turns:
    """Whether the event loop has its turn while somebody waits."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.count = 0
        self.stood_still = 0

    def wait_for_one(self) -> None:
        """Called anywhere; where it is called on the loop itself, that stands still."""
        turned = Event()
        self._loop.call_soon_threadsafe(turned.set)
        self.count += 1
        if not self.stood_still and not turned.wait(WITHIN_S):
            self.stood_still += 1
