"""What the checks find: problems, each of one kind, under the check that found it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """In what way something is wrong."""

    LOST = "lost"
    MISPLACED = "misplaced"
    ALTERED = "altered"
    DOUBLED = "doubled"
    UNSENT = "unsent"  # there, though nobody sent it
    MISSING_ROW = "missing row"
    OTHER_ROW = "other row"  # there, with another content
    RIVALS = "rivals"
    BEHIND = "behind"
    MOVED_BACK = "moved back"
    AGGREGATE = "aggregate"
    DEADLOCK = "deadlock"
    MISCOUNTED = "miscounted"  # by the statement of a job that is over
    UNFINISHED = "unfinished"
    MISFILED = "misfiled"
    MEMORY = "memory"
    NOT_MADE = "not made"  # a fault
    ANSWER = "answer"


class Problem(NamedTuple):
    """`text` is one line for whoever reads the report."""

    kind: Kind
    text: str


class Arrival(NamedTuple):
    """Of the acknowledged items of one sort: how many there are, and how many are where they should be."""

    sort: str
    fate: str
    acknowledged: int
    arrived: int


@dataclass(slots=True)
class Verdict:
    """What the checks found; `lost` and `doubled` are counts of items."""

    lost: int = 0
    doubled: int = 0
    problems: dict[str, list[Problem]] = field(default_factory=dict)
    arrivals: list[Arrival] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not self.lost and not self.doubled and not any(self.problems.values())

    @property
    def caught_by(self) -> list[str]:
        """The checks that found something."""
        return [check for check, problems in self.problems.items() if problems]

    def of_kind(self, check: str, kind: Kind) -> list[str]:
        """What a check says of one kind."""
        return [problem.text for problem in self.problems.get(check, []) if problem.kind is kind]


def all_of(kind: Kind, texts: Iterable[str]) -> list[Problem]:
    return [Problem(kind, text) for text in texts]
