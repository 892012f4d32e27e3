"""inotify's hints that a scan may be worth it. The only threads of this service live here."""

from collections.abc import Callable
from pathlib import Path
from typing import override

import structlog
from watchdog.events import (
    EVENT_TYPE_CLOSED,
    EVENT_TYPE_CREATED,
    EVENT_TYPE_MODIFIED,
    EVENT_TYPE_MOVED,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

STOP_LIMIT_S = 2.0
# Opening and reading are not among them: the scans themselves do that.
_TELLING = frozenset({EVENT_TYPE_CLOSED, EVENT_TYPE_CREATED, EVENT_TYPE_MODIFIED, EVENT_TYPE_MOVED})

_log = structlog.get_logger()


class Hints(FileSystemEventHandler):
    """Calls `wake` when something changes below a folder. `wake` is called on another thread."""

    def __init__(self, folder: Path, wake: Callable[[], object]) -> None:
        self._folder = folder
        self._wake = wake
        self._observer: BaseObserver | None = None

    def __repr__(self) -> str:
        return f"<Hints on {self._folder}: {'on' if self._observer else 'off'}>"

    def start(self) -> None:
        """Where inotify cannot be had, scans alone do the work, a moment later."""
        observer = Observer()
        try:
            observer.schedule(self, str(self._folder), recursive=True)
            observer.start()
        except OSError as error:
            _log.warning("There are no hints from inotify; scans find the files.", problem=str(error))
            return
        self._observer = observer

    def stop(self) -> None:
        """Returns within STOP_LIMIT_S. May be repeated."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(STOP_LIMIT_S)
            self._observer = None

    @override
    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type in _TELLING:
            self._wake()
