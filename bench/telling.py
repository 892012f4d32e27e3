"""What a benchmark prints while it runs."""

from collections.abc import Iterable

from results import Row, number


def told(row: str, **figures: float) -> None:
    """One line per round."""
    print(f"{row}: " + ", ".join(f"{name} {number(value)}" for name, value in figures.items()), flush=True)


def tell(rows: Iterable[Row]) -> None:
    """The medians, each with its bar."""
    for row in rows:
        print(f"\n{row.work} ({row.settings}):", flush=True)
        for figure in row.figures:
            verdict = {None: "", True: f"   met: {figure.asked()}", False: f"   NOT MET: {figure.asked()}"}
            print(f"  {figure.name}: {figure.said()}{verdict[figure.met]}")
        for memory in row.memory:
            grown = "" if memory.growth is None else f", last third beside middle third {memory.growth:.2f}"
            print(f"  {memory.service}: {memory.peak_mb:.0f} MB resident at most{grown}")
        if row.failed:
            print(f"  FAILED: {row.failed}", flush=True)
