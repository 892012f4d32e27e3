"""The first row of a CSV file decides what the file holds."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from tillstream.contracts.csv_rows import csv_columns
from tillstream.contracts.entities import Entity
from tillstream.contracts.messages import Refusal
from tillstream.csv.encoding import Certainty, Encoding, Found, look_at_opening
from tillstream.csv.records import Record, RecordSplitter
from tillstream.csv.rows import read_cells
from tillstream.errors import FileRefused

SEPARATORS = (",", ";", "\t", "|")
# The columns that stand before the original ones in a rejects file.
REJECT_COLUMNS = ("line", "reason", "message", "message_id", "version")
MAX_SHOWN_COLUMNS = 20
MAX_BLANK_LINES = 1_000  # before the header row
MAX_SHOWN_CHARS = 40


@dataclass(frozen=True, slots=True)
class Header:
    """What a file holds and how. `columns` are the names in lower case, in the file's order.

    `next_byte` and `next_line` are where the rows begin.
    """

    entity: Entity
    separator: str
    columns: Sequence[str]
    is_rejects: bool
    next_byte: int
    next_line: int
    encoding: Encoding = Encoding.UTF_8
    certainty: Certainty = Certainty.ASSUMED


def read_header(file: BinaryIO, file_name: str = "", found: Found | None = None) -> Header:
    """Find out what the file holds. The columns decide; the name only picks whom a wrong header is compared with.

    `found` is the encoding as the whole file says it; without it, its first bytes have to do. Raises FileRefused, with a code and a sentence, for an empty file, an unknown or missing column, or one that comes twice.
    """
    found = found or look_at_opening(file)
    encoding = found.encoding
    first = _first_filled(RecordSplitter(file, SEPARATORS[0], found.start, 1, encoding))
    if first is None:
        raise FileRefused("empty_file: the file has no header row")
    separator = _separator(first, encoding)
    splitter = RecordSplitter(file, separator, found.start, 1, encoding)
    cells = read_cells(_first_filled(splitter) or first, separator, encoding)
    if isinstance(cells, Refusal):
        raise FileRefused(
            f"unreadable_header: the header row is not {encoding.label} text with closed quotes"
        )
    columns = tuple(cell.lower() for cell in cells)
    return Header(
        entity=_entity(columns, file_name),
        separator=separator,
        columns=columns,
        is_rejects=is_rejects_header(columns),
        next_byte=splitter.next_byte,
        next_line=splitter.next_line,
        encoding=encoding,
        certainty=found.certainty,
    )


def is_rejects_header(columns: Iterable[str]) -> bool:
    """Whether these are the columns of a rejects file."""
    return set(REJECT_COLUMNS) <= set(columns)


def _first_filled(splitter: RecordSplitter) -> Record | None:
    """Not looked for without a bound: gigabytes of line ends, which gzip makes of a few kilobytes, would be read through."""
    for _ in range(MAX_BLANK_LINES + 1):
        record = splitter.next_record()
        if record is None or record.raw:
            return record
    raise FileRefused(f"empty_file: its first {MAX_BLANK_LINES:,} lines are blank")


def _separator(first: Record, encoding: Encoding) -> str:
    """The separator that occurs most often; no column name contains any of them."""
    text = first.raw.decode(encoding.value, "replace")
    return max(SEPARATORS, key=text.count)


def _entity(columns: Sequence[str], file_name: str) -> Entity:
    if not _is_header(columns):
        raise FileRefused(_headless(file_name))
    twice = [name for name, times in Counter(columns).items() if times > 1]
    if twice:
        raise FileRefused(f"duplicate_column: the header names {_shown(twice)} more than once")
    own = set(columns) - set(REJECT_COLUMNS) if is_rejects_header(columns) else set(columns)
    for entity in Entity:
        required, optional = csv_columns(entity)
        if set(required) <= own <= {*required, *optional}:
            return entity
    raise FileRefused(_misfit(own, columns, file_name))


def _is_header(columns: Sequence[str]) -> bool:
    """Whether any name is a known one; else this may be a row, whose cells are nothing for logs and answers."""
    known = {name for entity in Entity for names in csv_columns(entity) for name in names}
    return is_rejects_header(columns) or not known.isdisjoint(name.strip() for name in columns)


def _headless(file_name: str) -> str:
    entity = _closest(set(), file_name)
    expected = _expected(entity) if entity is not None else f"a file begins with those of {_any_kind()}"
    return f"unknown_header: its first line has none of the known column names; {expected}"


def _any_kind() -> str:
    *first, last = map(_plural, Entity)
    return f"{', '.join(first)} or {last}"


def _misfit(own: set[str], columns: Sequence[str], file_name: str) -> str:
    entity = _closest({name.strip() for name in own}, file_name)
    if entity is None:
        return f"unknown_header: found the columns {_shown(columns)}, which belong to none of the known files"
    required, optional = csv_columns(entity)
    missing = [name for name in required if name not in own]
    unknown = [name for name in columns if name in own and name not in {*required, *optional}]
    sentence = f"found the columns {_shown(columns)}; {_expected(entity)}"
    return "; ".join(
        (
            f"unknown_header: {sentence}",
            *([f"missing: {_shown(missing)}"] if missing else []),
            *([f"unknown: {_shown(unknown)}"] if unknown else []),
        )
    )


def _expected(entity: Entity) -> str:
    required, optional = csv_columns(entity)
    perhaps = f" and perhaps {_shown(optional)}" if optional else ""
    return f"a file of {_plural(entity)} has {_shown(required)}{perhaps}"


def _closest(own: set[str], file_name: str) -> Entity | None:
    """Whose columns these were probably meant to be: most names in common, then the one the file name speaks of."""

    def likeness(entity: Entity) -> tuple[int, bool]:
        required, optional = csv_columns(entity)
        return len(own & {*required, *optional}), _plural(entity, "_") in file_name.lower()

    best = max(Entity, key=likeness)
    return best if any(likeness(best)) else None


def _plural(entity: Entity, space: str = " ") -> str:
    return f"{entity.value}s".replace("_", space)


def _shown(names: Iterable[str]) -> str:
    """Names as a sentence shows them: few, short and without anything that a terminal would obey."""
    listed = list(names)
    shown = ", ".join(ascii(name[:MAX_SHOWN_CHARS]) for name in listed[:MAX_SHOWN_COLUMNS])
    more = len(listed) - MAX_SHOWN_COLUMNS
    return f"{shown} and {more} more" if more > 0 else shown
