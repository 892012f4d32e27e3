"""From rows of a file to messages: first attempts are looked up, repeated keys are refused."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from tillstream.contracts.csv_rows import JobFacts, refused_row, row_message
from tillstream.contracts.entities import Entity
from tillstream.contracts.ids import ROW_ID_VERSION
from tillstream.contracts.messages import Message, Refusal
from tillstream.contracts.reasons import SENTENCES, Reason
from tillstream.contracts.records import key_of, payload_hash
from tillstream.csv.header import Header
from tillstream.csv.rejects import FirstAttempt, corrected_cells, first_attempt
from tillstream.csv.rows import Row

_UNKNOWN_ATTEMPT = Refusal(
    Reason.INVALID_RECORD,
    "message_id and version are not those of a row that was refused before.",
    "message_id",
)
_ANOTHER_EVENT = Refusal(
    Reason.INVALID_ID,
    "event_id is not the one of the row that was refused. A spreadsheet may have changed it, as 00017 becomes 17.",
    "event_id",
)


@dataclass(frozen=True, slots=True)
class Known:
    """What a message id of a rejects file stood for at its first attempt."""

    entity: str
    source: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What rows take from their job, by itself; see `JobFacts`."""

    job_id: UUID
    source: str
    as_of: datetime | None
    claimed_at: datetime


@dataclass(frozen=True, slots=True)
class RowMessage:
    """The message of a row, and which first attempt it corrects, if any."""

    message: Message
    corrects: FirstAttempt | None = None


class RowMessages:
    """Makes the messages of one job's rows."""

    def __init__(self, header: Header, job: JobFacts, shop_timezone: ZoneInfo) -> None:
        self._entity = header.entity
        self._columns = header.columns
        self._is_rejects = header.is_rejects
        self._facts = Facts(job.job_id, job.source, job.as_of, job.claimed_at)
        self._shop_timezone = shop_timezone

    def attempts(self, rows: Sequence[Row]) -> dict[int, FirstAttempt | Refusal]:
        """By line: what the rows of a rejects file say that they were. Nothing for other files."""
        if not self._is_rejects:
            return {}
        return {row.line: first_attempt(self._cells(row)) for row in rows if row.cells is not None}

    def messages(
        self,
        rows: Sequence[Row],
        attempts: Mapping[int, FirstAttempt | Refusal],
        known: Mapping[FirstAttempt, Known],
    ) -> list[RowMessage]:
        """One per row, in their order. `known` has the attempts that were refused before."""
        return [self._message(row, attempts.get(row.line), known) for row in rows]

    def _message(
        self, row: Row, attempt: FirstAttempt | Refusal | None, known: Mapping[FirstAttempt, Known]
    ) -> RowMessage:
        if row.refusal is not None:
            return RowMessage(self._refused(row, row.refusal))
        if attempt is None:
            return RowMessage(self._accepted(row, self._cells(row), self._facts))
        if isinstance(attempt, Refusal):
            return RowMessage(self._refused(row, attempt))
        first = known.get(attempt)
        if first is None or first.entity != self._entity.value:
            return RowMessage(self._refused(row, _UNKNOWN_ATTEMPT))
        return self._corrected(row, attempt, first)

    def _corrected(self, row: Row, attempt: FirstAttempt, first: Known) -> RowMessage:
        """An event keeps the id that its row gives it, so that a later export of the same row doubles nothing."""
        facts, cells = replace(self._facts, source=first.source), self._cells(row)
        message = self._accepted(row, corrected_cells(cells), facts)
        is_own_id = self._entity is Entity.EVENT and message.refusal is None
        # Where two events had one id, another id is the very correction.
        if is_own_id and cells["reason"] != Reason.ID_CONFLICT and _is_another_event(message, attempt):
            return RowMessage(self._refused(row, _ANOTHER_EVENT), attempt)
        message_id = message.message_id if is_own_id else attempt.message_id
        corrected = replace(message, message_id=message_id, version=attempt.version, correction=True)
        return RowMessage(corrected, attempt)

    def _accepted(self, row: Row, cells: Mapping[str, str], job: Facts) -> Message:
        return row_message(
            self._entity, cells, payload=row.raw, job=job, line=row.line, shop_timezone=self._shop_timezone
        )

    def _refused(self, row: Row, refusal: Refusal) -> Message:
        return refused_row(
            self._entity,
            refusal,
            payload=row.raw,
            job=self._facts,
            line=row.line,
            shop_timezone=self._shop_timezone,
        )

    def _cells(self, row: Row) -> dict[str, str]:
        assert row.cells is not None, "a row without a refusal has cells"
        return dict(zip(self._columns, row.cells, strict=True))


def _is_another_event(message: Message, attempt: FirstAttempt) -> bool:
    """Whether an event that came with an id has another one now: the first one, exported again, would be counted a second time.

    One that came without an id was refused under that of its row, and may take the id of its content now.
    """
    content = message.content or {}
    had_own_id = attempt.message_id.version != ROW_ID_VERSION
    return "event_id" in content and had_own_id and message.message_id != attempt.message_id


def keys_of(messages: Sequence[RowMessage]) -> list[int]:
    """The keys that these rows want. Events have none: their ids speak for themselves."""
    return [
        key_of(each.message.entity, each.message.content)
        for each in messages
        if each.message.content is not None and each.message.entity is not Entity.EVENT
    ]


def refuse_repeated_keys(messages: Sequence[RowMessage], taken: Collection[int]) -> list[RowMessage]:
    """The same messages, but refused where their key stood in an earlier row of the file; `taken` are those of earlier chunks.

    A row that broke its contract takes no key. An order item's key in a file is its id alone.
    """
    seen = set(taken)
    result = []
    for each in messages:
        content = each.message.content
        if content is None or each.message.entity is Entity.EVENT:
            result.append(each)
            continue
        key = key_of(each.message.entity, content)
        result.append(replace(each, message=_repeated(each.message)) if key in seen else each)
        seen.add(key)
    return result


def _repeated(message: Message) -> Message:
    return replace(
        message,
        content=None,
        refusal=Refusal(Reason.DUPLICATE_KEY, SENTENCES[Reason.DUPLICATE_KEY]),
        content_hash=payload_hash(message.payload),
    )
