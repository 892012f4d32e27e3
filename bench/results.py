"""What a row found: figures with their spread, the bar that some of them must reach, and whether they did."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

MB = 10**6
FLAT = 1.1  # the peak of a process's last third beside that of its middle third
RSS_BELOW_MB = 300


class Bar(StrEnum):
    """On which side of the bar a median should be."""

    NONE = "none"
    AT_LEAST = "at least"
    BELOW = "below"


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that was measured once per round."""

    name: str
    unit: str
    values: Sequence[float]
    bar: Bar = Bar.NONE
    limit: float = 0.0

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def met(self) -> bool | None:
        """None where nothing is asked."""
        match self.bar:
            case Bar.NONE:
                return None
            case Bar.AT_LEAST:
                return self.median >= self.limit
            case Bar.BELOW:
                return self.median < self.limit

    def said(self) -> str:
        """The median, and in brackets the lowest and the highest."""
        low, high = min(self.values), max(self.values)
        spread = "" if len(self.values) == 1 else f" ({number(low)} to {number(high)})"
        return f"{number(self.median)} {self.unit}".rstrip() + spread

    def asked(self) -> str:
        sign = {Bar.NONE: "", Bar.AT_LEAST: "≥ ", Bar.BELOW: "< "}[self.bar]
        return f"{sign}{number(self.limit)} {self.unit}" if sign else ""


@dataclass(frozen=True, slots=True)
class Memory:
    """The resident memory of one service during a row. `growth` is None where no process lived long enough to tell."""

    service: str
    peak_mb: float
    growth: float | None


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the page. `failed` says why there are no figures, or fewer."""

    name: str
    work: str
    settings: str
    figures: Sequence[Figure] = ()
    memory: Sequence[Memory] = ()
    measured_at: str = ""
    failed: str = ""


def ratios(mine: Sequence[float], others: Sequence[float]) -> list[float]:
    """Round by round: both of a round met the same neighbours."""
    return [one / other for one, other in zip(mine, others, strict=True)]


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that at least `share` of them do not exceed."""
    ordered = sorted(values)
    position = max(0, -int(-share * len(ordered) // 1) - 1)
    return ordered[min(position, len(ordered) - 1)]


def number(value: float) -> str:
    """Three digits that matter, thousands set apart."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def growth(samples: Sequence[float]) -> float:
    """The peak of the last third beside that of the middle one: 1 is flat. The first third is for warming up."""
    third = len(samples) // 3
    assert third, "too few samples"
    return max(samples[-third:]) / max(samples[third : 2 * third])


def memory_figures(rows: Sequence[Row]) -> list[Figure]:
    """The highest of all rows, for each service."""
    found = []
    for service in sorted({one.service for row in rows for one in row.memory}):
        of_service = [one for row in rows for one in row.memory if one.service == service]
        found.append(
            Figure(
                f"{service}, highest RSS",
                "MB",
                [max(one.peak_mb for one in of_service)],
                Bar.BELOW,
                RSS_BELOW_MB,
            )
        )
        grown = [one.growth for one in of_service if one.growth is not None]
        if grown:
            found.append(
                Figure(f"{service}, last third beside middle third", "×", [max(grown)], Bar.BELOW, FLAT)
            )
    return found
