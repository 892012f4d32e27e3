"""Planted bugs, and the points at which a kill reveals each. A kill with which no bug shows proves nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from faults.roots.upload_bugs import A_JOB_PER_REQUEST
from file_faults.roots import claim_plants as claims
from file_faults.roots import loader_plants as loads

# Steps of every chunk: at the second one a kill shows what it shows at the first.
OF_EACH_CHUNK = frozenset(
    {
        *("stage", "apply", "adopt", "store", "advance", "commit"),
        *("are_waited_for", "wake", "stream", "keys_taken"),
    }
)
COUNTED = "Counter|more item"  # two statements, or two tables, beside each other, in the words of pytest
LIES_THERE = "not all of [12] are over"
REFUSED = "was not acknowledged|assert 422"


@dataclass(frozen=True, slots=True)
class Canary:
    """A bug of a part, `told` (a pattern) by the checks where the part was killed at any of the points `at`.

    `alone`: it may show without a kill, too, so that the file which is sent first, to see that all else works, is sent without it.
    """

    part: str
    plant: str
    at: tuple[str, ...]
    told: str
    has_plain_rows: bool = False
    alone: bool = False


CANARIES = (
    Canary("loader", loads.QUEUED_LATE, ("tell.1",), LIES_THERE),
    Canary(
        "loader",
        loads.LEFT_ALONE,
        ("taken.1", "open.1", "header.1", "identify.1", "duplicate_of.1", "stream.1", "rejects_file.1"),
        LIES_THERE,
    ),
    Canary("loader", loads.LEFT_ALONE, ("stage.1",), LIES_THERE, has_plain_rows=True),
    Canary("loader", loads.ROWS_APART, ("advance.2", "adopt.1", "advance.1", "commit.1"), COUNTED),
    Canary("loader", loads.KEYS_IN_MEMORY, ("store.2", "stage.2"), COUNTED, has_plain_rows=True),
    Canary(
        "loader",
        loads.STORED_APART,
        ("advance.1", "commit.1"),
        COUNTED,
        has_plain_rows=True,
    ),
    Canary("loader", loads.PLACE_FIRST, ("wake.3", "wake.1"), COUNTED),
    Canary("loader", loads.PLACE_FIRST, ("are_waited_for.1", "wake.1"), COUNTED, has_plain_rows=True),
    Canary(
        "loader",
        loads.KEYS_IN_MEMORY,
        ("keys_taken.1", "wake.1", "stream.2", "apply.2", "advance.2", "commit.2"),
        COUNTED,
    ),
    Canary("loader", loads.LINES_ANEW, ("stream.2", "wake.1", "apply.3", "wake.3"), "'error', 'users.csv'"),
    Canary("loader", loads.STARTS_OVER, ("stream.3", "wake.1", "stream.4", "rejects.1", "finish.1"), COUNTED),
    Canary("loader", loads.REJECTS_IN_PLACE, ("rejects.2",), "is not whole"),
    Canary("loader", loads.REJECTS_LAST, ("open.2", "os.rename.1"), "users.csv"),
    Canary("loader", loads.REJECTS_UNMARKED, ("finish.1", "open.3"), "a rejects file of no job"),
    Canary("loader", loads.MOVES_FIRST, ("os.remove.1", "open.4", "open.5"), "'error', 'users.csv'|'failed'"),
    Canary("loader", loads.LEFT_LYING, ("put_away.1", "os.rename.2"), LIES_THERE),
    Canary("watcher", claims.MOVES_BEFORE_JOB, ("os.rename.2", "open.1", "open.2", "open.3"), LIES_THERE),
    Canary("watcher", claims.SENDS_FIRST, ("os.rename.2", "os.rename.1", "sent.1"), "'failed'", alone=True),
    Canary(
        "watcher",
        claims.TELLS_OF_ITS_OWN,
        ("send.1", "open.3", "open.4", "os.rename.3"),
        LIES_THERE,
    ),
    Canary("watcher", claims.ANOTHER_JOB, ("sent.1",), "'failed'"),
    Canary("door", claims.IN_ITS_PLACE, ("write.1",), REFUSED),
    Canary("door", claims.WRITES_ON, ("open.2", "os.rename.1", "open.3", "os.rename.2"), COUNTED),
    Canary("door", claims.MOVES_BEFORE_JOB, ("os.rename.2", "open.2", "open.3"), LIES_THERE),
    Canary("door", claims.SENDS_FIRST, ("os.rename.2",), f"'failed'|{LIES_THERE}", alone=True),
    Canary("door", A_JOB_PER_REQUEST, ("sent.1", "open.4", "open.5", "send.1"), COUNTED),
)

NOTHING_YET = "nothing was done with the file"
# Where no bug of a program can show, and why.
SILENT: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "loader": {"kind.1": NOTHING_YET, "queue.1": NOTHING_YET},
        "watcher": {},
        "door": {"open.1": NOTHING_YET},
    }
)


def unclaimed(part: str, labels: Iterable[str]) -> set[str]:
    """The points at which no planted bug shows, and for which nothing says why."""
    claimed = {_point(label) for each in CANARIES if each.part == part for label in each.at}
    return {label for label in labels if _point(label) not in claimed | SILENT[part].keys()}


def _point(label: str) -> str:
    name, _, _ = label.rpartition(".")
    return name if name in OF_EACH_CHUNK else label
