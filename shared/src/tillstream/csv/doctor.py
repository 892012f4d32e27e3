"""What would become of a file, as far as the file alone can tell: the loader's reader and rules, without loader or database.

What only the tables can tell is left open: whether another user holds an address, a parent is there, a stored row is newer, an
event was there before, a first attempt of a rejects file is known.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import BinaryIO
from uuid import UUID
from zoneinfo import ZoneInfo

from tillstream.contracts.envelope import DEFAULT_SOURCE
from tillstream.csv.dropped import header_of_dropped, is_kept_text
from tillstream.csv.encoding import Certainty, Encoding, Found
from tillstream.csv.header import Header
from tillstream.csv.packed import open_text, plain_name
from tillstream.csv.rejects import FirstAttempt
from tillstream.csv.row_messages import Facts, Known, RowMessage, RowMessages, keys_of, refuse_repeated_keys
from tillstream.csv.rows import Row, RowReader
from tillstream.csv.survey import Survey
from tillstream.errors import FileRefused, TimeIsUp

BLOCK_BYTES = 1_048_576
CHUNK_ROWS = 1_000
# Some 100 bytes each. Of a longer file, a key that comes again is found if it is among the first ones.
MAX_KEYS = 1_000_000
DEFAULT_REJECTS = 10
_NO_JOB = UUID(int=0)


def _no_hurry() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Terms:
    """Under which a file is looked at. `accepted_at` is what "not in the future" is measured against.

    `is_time_up` is asked again and again; once it is, the report says what was found by then. The file is read through before
    its rows are looked at: `is_half_up` ends the former, so that a report about a very large file says something of its rows.
    """

    accepted_at: datetime
    shop_timezone: ZoneInfo
    declared: Encoding | None = None
    max_rejects: int = DEFAULT_REJECTS
    is_time_up: Callable[[], bool] = _no_hurry
    is_half_up: Callable[[], bool] = _no_hurry


@dataclass(frozen=True, slots=True)
class RejectedRow:
    line: int
    reason: str
    message: str


@dataclass(slots=True)
class Report:
    """What was found. Without a header the file would be archived, or, where there is an `error`, refused.

    `rejects` are the first ones, `reasons` count all. `bytes` and `lines` are those that were read through; of these the first
    `examined_bytes` hold the rows that were looked at.
    """

    bytes: int = 0
    lines: int = 0
    header: Header | None = None
    error: str | None = None
    rows: int = 0
    examined_bytes: int = 0
    rejects: list[RejectedRow] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    knows_all_keys: bool = True
    is_complete: bool = True

    @property
    def rejected(self) -> int:
        return self.reasons.total()

    @property
    def accepted(self) -> int:
        return self.rows - self.rejected

    @property
    def would_load_whole(self) -> bool:
        return self.header is not None and self.error is None and self.is_complete and not self.rejected


def examine(file: BinaryIO, file_name: str, terms: Terms) -> Report:
    """Reads the file twice, from its beginning, or what a gzip file holds; memory does not grow with it. Blocks; raises OSError."""
    report = Report()
    try:
        text = file if is_kept_text(file_name) else open_text(file)
        survey = _surveyed(text, terms, report)
        find = partial(_found, survey, terms.declared, report)
        report.header = header_of_dropped(text, plain_name(file_name), find)
        if report.header is not None:
            _examine_rows(text, report.header, survey, terms, report)
    except FileRefused as error:
        report.error = str(error)
    except TimeIsUp:
        report.is_complete = False
    return report


def _surveyed(file: BinaryIO, terms: Terms, report: Report) -> Survey:
    survey = Survey()
    file.seek(0)
    block = b"?"
    while block and report.is_complete:
        block = file.read(BLOCK_BYTES)
        survey.take(block)
        report.bytes, report.lines = survey.bytes, survey.lines
        if terms.is_half_up() or terms.is_time_up():
            report.is_complete = False
    return survey


def _found(survey: Survey, declared: Encoding | None, report: Report) -> Found:
    """Of a file that was not read through nobody knows that the whole of it fits."""
    found = survey.found(declared)
    if not report.is_complete and found.certainty is Certainty.WHOLE_FILE:
        return replace(found, certainty=Certainty.ASSUMED)
    return found


def _examine_rows(file: BinaryIO, header: Header, survey: Survey, terms: Terms, report: Report) -> None:
    reader = RowReader(
        file, header.separator, len(header.columns), header.next_byte, header.next_line, header.encoding
    )
    facts = Facts(_NO_JOB, DEFAULT_SOURCE, as_of=None, claimed_at=terms.accepted_at)
    maker = RowMessages(header, facts, terms.shop_timezone)
    seen: set[int] = set()
    while True:
        chunk = reader.read_chunk(CHUNK_ROWS, BLOCK_BYTES)
        messages = _messages(maker, header, chunk.rows)
        keys = keys_of(messages)
        _count(report, refuse_repeated_keys(messages, seen.intersection(keys)), terms.max_rejects)
        report.examined_bytes = chunk.next_byte
        if len(seen) + len(keys) <= MAX_KEYS:
            seen.update(keys)
        elif keys:
            report.knows_all_keys = False
        if chunk.is_last:
            break
        _check_time(terms)
    if report.is_complete:
        survey.check_end(chunk.next_byte, chunk.next_line)


def _check_time(terms: Terms) -> None:
    if terms.is_time_up():
        raise TimeIsUp


def _messages(maker: RowMessages, header: Header, rows: Sequence[Row]) -> list[RowMessage]:
    """As if every first attempt that a rejects file names were known."""
    attempts = maker.attempts(rows)
    first = Known(header.entity.value, DEFAULT_SOURCE)
    known = {each: first for each in attempts.values() if isinstance(each, FirstAttempt)}
    return maker.messages(rows, attempts, known)


def _count(report: Report, messages: Sequence[RowMessage], max_rejects: int) -> None:
    report.rows += len(messages)
    for each in messages:
        refusal = each.message.refusal
        if refusal is None:
            continue
        report.reasons[refusal.reason.value] += 1
        if len(report.rejects) < max_rejects:
            line = each.message.origin.line or 0
            report.rejects.append(RejectedRow(line, refusal.reason.value, refusal.message))
