"""The record of the last figures, and the page that is made of it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter

from results import Figure, Row, memory_figures

DOCS = Path(__file__).parents[1] / "docs"
RECORD = DOCS / "benchmarks.json"
PAGE = DOCS / "benchmarks.md"
VERDICT = {None: "", True: "met", False: "**not met**"}
TOP = (Path(__file__).parent / "page.md").read_text()


@dataclass(frozen=True, slots=True)
class Record:
    """What is known; rows in the order of the page."""

    machine: Mapping[str, str] = field(default_factory=dict)
    rows: Sequence[Row] = ()

    def with_rows(self, unit: str, rows: Iterable[Row]) -> "Record":
        """These rows stand where those of the same unit stood: `ingest` is one, and measures `ingest-batches` and `ingest-singles`."""
        place = next((at for at, row in enumerate(self.rows) if row.name.startswith(unit)), len(self.rows))
        kept = [row for row in self.rows if not row.name.startswith(unit)]
        return replace(self, rows=[*kept[:place], *rows, *kept[place:]])

    def with_all(self, units: Iterable[str]) -> "Record":
        """What is missing is on the page too, as not measured."""
        record = self
        for unit in units:
            if not any(row.name.startswith(unit) for row in record.rows):
                record = record.with_rows(unit, [Row(unit, unit, "", failed="not measured yet")])
        return record


_RECORD = TypeAdapter(Record)


def read() -> Record:
    return _RECORD.validate_json(RECORD.read_bytes()) if RECORD.exists() else Record()


def write(record: Record) -> None:
    """Keep the record and make the page anew."""
    RECORD.write_text(json.dumps(asdict(record), indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text(render(record))


def render(record: Record) -> str:
    """The page in Markdown."""
    parts = [TOP, "## The machine\n", *(f"- {value}" for value in record.machine.values()), ""]
    parts += ["## The bars\n", *_summary(record.rows), ""]
    parts += ["## The rows\n", *(line for row in record.rows for line in _section(row))]
    return "\n".join(parts).rstrip() + "\n"


def _summary(rows: Sequence[Row]) -> list[str]:
    lines = ["| work | figure | bar | median (lowest to highest) | |", "|---|---|---|---|---|"]
    for row in rows:
        asked = [figure for figure in row.figures if figure.met is not None]
        lines += [_line(row.work, figure) for figure in asked]
        if row.failed:
            lines.append(f"| {row.work} | | | {row.failed} | **no figures** |")
    return lines + [_line("memory during all of it", figure) for figure in memory_figures(rows)]


def _line(work: str, figure: Figure) -> str:
    return f"| {work} | {figure.name} | {figure.asked()} | {figure.said()} | {VERDICT[figure.met]} |"


def _section(row: Row) -> list[str]:
    lines = [f"### {row.name}\n", f"{'; '.join(filter(None, (row.work, row.settings, row.measured_at)))}.\n"]
    if row.failed:
        lines.append(f"**No figures:** {row.failed}\n")
    if row.figures:
        lines += ["| figure | median (lowest to highest) | every run |", "|---|---|---|"]
        lines += [f"| {each.name} | {each.said()} | {_each(each)} |" for each in row.figures]
        lines.append("")
    if row.memory:
        lines += ["| resident memory | at most | last third beside middle third |", "|---|---|---|"]
        lines += [
            f"| {each.service} | {each.peak_mb:.0f} MB | {each.growth:.2f} |"
            if each.growth is not None
            else f"| {each.service} | {each.peak_mb:.0f} MB | no process lived for half a minute |"
            for each in row.memory
        ]
        lines.append("")
    return lines


def _each(figure: Figure) -> str:
    return ", ".join(f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}" for value in figure.values)
