"""Rejects files: the refused rows of a file, with the reason, in a form that a person corrects and drops back.

Five columns come first (REJECT_COLUMNS), then the original ones with their cells as they were found; a row that had too many
or too few cells still has them, so that it cannot pass unseen when it is dropped back as it is. UTF-8 with a byte order mark,
commas, CRLF: what spreadsheets open without a question. A cell that a spreadsheet would run as a formula has an apostrophe
before it, which is taken off again on the way back.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from tillstream.contracts.messages import Refusal
from tillstream.contracts.reasons import Reason
from tillstream.csv.encoding import Encoding
from tillstream.csv.header import REJECT_COLUMNS
from tillstream.csv.rows import split_cells

BOM = b"\xef\xbb\xbf"
# Stands in a rejects file for a byte that does not fit the encoding of its file and for U+0000; a row that still has it was not corrected.
UNREADABLE = "\ufffd"
# Text, whatever its digits are: a spreadsheet must not take it for a number.
VERSION_MARK = "v"
VERSION_BYTES = 40
# What makes spreadsheets run a cell, also behind apostrophes of its own, so that taking one off is always exact.
_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


@dataclass(frozen=True, slots=True)
class Reject:
    """One refused row: where and why, what it stands for, and the bytes that stood in the file."""

    line: int
    reason: str
    message: str
    message_id: UUID
    version: bytes
    raw: bytes


@dataclass(frozen=True, slots=True)
class FirstAttempt:
    """What a row of a rejects file was when it came first; it loads under this id and version."""

    message_id: UUID
    version: bytes


def render(
    columns: Sequence[str],
    separator: str,
    rejects: Iterable[Reject],
    encoding: Encoding = Encoding.UTF_8,
) -> Iterator[bytes]:
    """The bytes of a rejects file, piece by piece: a header, then a piece per reject, in the order given.

    `columns`, `separator` and `encoding` are those of the file that `raw` comes from; it may be a rejects file itself.
    """
    own = [index for index, name in enumerate(columns) if name in REJECT_COLUMNS]
    yield BOM + _line([*REJECT_COLUMNS, *_without(own, columns)])
    for each in rejects:
        cells = _without(own, original_cells(each.raw, separator, encoding))
        identity = [str(each.line), each.reason, each.message, str(each.message_id), _text(each.version)]
        yield _line(
            [*map(neutralised, identity), *(neutralised(restored(cell) if own else cell) for cell in cells)]
        )


def original_cells(raw: bytes, separator: str, encoding: Encoding = Encoding.UTF_8) -> list[str]:
    """The cells of a refused row as they were found; all of it as one cell where its quotes are broken."""
    text = raw.decode(encoding.value, errors="replace").replace("\x00", UNREADABLE)
    try:
        return split_cells(text, separator)
    except csv.Error:
        return [text]


def first_attempt(cells: Mapping[str, str]) -> FirstAttempt | Refusal:
    """The identity of a dropped-back row, or why it cannot be loaded."""
    damaged = [name for name, cell in cells.items() if UNREADABLE in cell and name not in REJECT_COLUMNS]
    if damaged:
        return Refusal(
            Reason.INVALID_TEXT, f"{damaged[0]} still has the mark of an unreadable byte.", damaged[0]
        )
    try:
        message_id = UUID(restored(cells["message_id"]))
    except ValueError:
        return Refusal(
            Reason.INVALID_RECORD, "message_id is not the one that the rejects file had.", "message_id"
        )
    version = _version(restored(cells["version"]))
    if version is None:
        return Refusal(Reason.INVALID_RECORD, "version is not the one that the rejects file had.", "version")
    return FirstAttempt(message_id, version)


def corrected_cells(cells: Mapping[str, str]) -> dict[str, str]:
    """The original columns of a dropped-back row, with their apostrophes taken off."""
    return {name: restored(cell) for name, cell in cells.items() if name not in REJECT_COLUMNS}


def neutralised(cell: str) -> str:
    """The cell in a form that no spreadsheet runs; `restored` undoes it exactly."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def restored(cell: str) -> str:
    """What `neutralised` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _without(indices: Sequence[int], cells: Sequence[str]) -> list[str]:
    return [cell for index, cell in enumerate(cells) if index not in indices]


def _line(cells: Sequence[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode()


def _text(version: bytes) -> str:
    return VERSION_MARK + version.hex()


def _version(text: str) -> bytes | None:
    try:
        version = bytes.fromhex(text.removeprefix(VERSION_MARK))
    except ValueError:
        return None
    return version if len(version) == VERSION_BYTES else None
