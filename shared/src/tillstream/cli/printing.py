"""What commands print: tables, times and other people's texts, which must not move anybody's cursor."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

_GAP = "  "


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns as wide as their widest cell; numbers stand to the right. What is None is shown as a dash."""
    body = list(rows)
    cells = [[_cell(value) for value in row] for row in body]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    to_right = [
        any(isinstance(row[at], int) for row in body) and all(isinstance(row[at], int | None) for row in body)
        for at in range(len(head))
    ]
    lines = [
        _GAP.join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, to_right, strict=True)
        ).rstrip()
        for line in [list(head), *cells]
    ]
    return "\n".join(lines)


def when(moment: datetime | None) -> str:
    """A time to the second, in UTC."""
    return "-" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def printable(text: str) -> str:
    """The same text, with what a terminal would obey instead of show written as an escape."""
    return "".join(
        char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode()
        for char in text
    )


def counted(number: int, one: str, many: str) -> str:
    """`1 entry`, `2 entries`."""
    return f"{number} {one if number == 1 else many}"


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return when(value)
    return printable(str(value)).replace("\n", "\\n").replace("\t", "\\t")
