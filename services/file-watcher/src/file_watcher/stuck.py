"""What lies in the input folder and cannot be taken: one alarm each, and a count of them."""

import os
from collections import Counter
from enum import StrEnum
from pathlib import Path

import structlog

from tillstream.clock import Clock
from tillstream.observe.metrics import Metrics


class Obstacle(StrEnum):
    """Why something stays where it is; the values of the metrics label `obstacle`."""

    CHANGING = "changing"  # it does not come to rest
    UNFINISHED = "unfinished"  # nobody writes to it any more, and its name says that it is not whole
    NO_MARKER = "no_marker"  # nobody said that it is finished
    NO_FILE = "no_file"  # a marker without its file
    NOT_TAKEN = "not_taken"  # a second name, or no right to read it
    DEFAULTS = "defaults"  # those of a folder are wrong, and its files wait
    FOLDER = "folder"  # a folder that is not looked into
    TOO_MANY = "too_many"  # more lies there than is looked at in one scan


_SENTENCES = {
    Obstacle.NO_FILE: "ALARM: a marker lies in the input folder without its file.",
    Obstacle.DEFAULTS: "ALARM: the defaults of a folder are wrong, and its files wait.",
    Obstacle.FOLDER: "ALARM: a folder is passed over, with all that is in it.",
    Obstacle.TOO_MANY: "ALARM: the input folder holds more than one scan looks at.",
}
_OF_A_FILE = "ALARM: a dropped file cannot be taken yet."

_log = structlog.get_logger()


class Stuck:
    """Told in every scan of all that stays; forgets by itself what it was not told of since the last scan.

    So an alarm is raised once for as long as its reason lasts, however many scans see it.
    """

    def __init__(self, folder: Path, alarm_after_s: float, clock: Clock, metrics: Metrics) -> None:
        self._folder = folder
        self._alarm_after_s = alarm_after_s
        self._clock = clock
        self._metrics = metrics
        self._since: dict[str, float] = {}
        self._told: dict[str, Obstacle] = {}
        self._seen_since: dict[str, float] = {}
        self._seen_told: dict[str, Obstacle] = {}

    def __repr__(self) -> str:
        return f"<Stuck in {self._folder}: {len(self._told)} told>"

    def wait(self, path: str | Path, obstacle: Obstacle, problem: str) -> None:
        """This is not ready yet, which is no alarm before it has lasted for long. Obstacles may take turns meanwhile."""
        place = os.fspath(path)
        since = self._seen_since[place] = self._since.get(place, self._clock.monotonic())
        if self._clock.monotonic() - since >= self._alarm_after_s:
            self.tell(place, obstacle, f"for {self._alarm_after_s:g} s {problem}")

    def tell(self, path: str | Path, obstacle: Obstacle, problem: str) -> None:
        """This cannot be taken until somebody does something about it. May be told several times in one scan."""
        place = os.fspath(path)
        is_new = obstacle not in {self._told.get(place), self._seen_told.get(place)}
        self._seen_told[place] = obstacle
        if is_new:
            _log.error(
                _SENTENCES.get(obstacle, _OF_A_FILE),
                problem=problem,
                **{_field(obstacle): ascii(os.path.relpath(place, self._folder))},
            )

    def end_of_scan(self) -> None:
        """All that stays has been told of."""
        self._since, self._seen_since = self._seen_since, {}
        self._told, self._seen_told = self._seen_told, {}
        counts = Counter(self._told.values())
        for obstacle in Obstacle:
            self._metrics.files_stuck.labels(obstacle).set(counts[obstacle])


def _field(obstacle: Obstacle) -> str:
    return "folder" if obstacle in {Obstacle.FOLDER, Obstacle.TOO_MANY} else "file_name"
