"""`fix` and `replay`: wishes are told, or written for the worker to meet. Shop data is not touched here."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from psycopg import AsyncConnection

from tillstream.apply.forecast import Wish, foretell
from tillstream.cli.printing import counted, printable
from tillstream.cli.quarantine.edited import Unfit, is_object, is_same
from tillstream.cli.quarantine.entries import Entries, Entry, Filters
from tillstream.cli.quarantine.reading import more_sentence, refuse_unknown
from tillstream.cli.quarantine.requests import Request, Requests
from tillstream.clock import SystemClock
from tillstream.contracts.outcomes import OutcomeKind

EXIT_NOT_MET = 1
# What is printed of request ids one by one; of more than that, where they begin and end.
MAX_LISTED_IDS = 50
MAX_LISTED_ANSWERS = 1_000
_IS_ROW = "is a row of a CSV file: correct it in its rejects file, or give it a payload with fix --file"
_UNCHANGED = "the fix changes nothing"

type Mend = Callable[[Entry], bytes | Unfit]


@dataclass(frozen=True, slots=True)
class Errand:
    """What is to be done: which entries, at most how many, and for whom.

    `mend` makes the new payload of an entry, or says why it cannot; without it the entry's own is applied again.
    """

    filters: Filters
    limit: int
    by: str
    mend: Mend | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """An entry and what is wished for it; or, in `left_out`, why nothing is."""

    entry: Entry
    payload: bytes | None = None
    left_out: str = ""

    @property
    def is_same(self) -> bool:
        """Whether nothing is wished for because nothing was edited."""
        return self.left_out == _UNCHANGED


async def tell(conn: AsyncConnection, errand: Errand, shop_timezone: ZoneInfo) -> None:
    """The dry run: prints what would become of each entry now, and changes nothing."""
    counts: Counter[str] = Counter()
    last = 0
    async for chosen in _choose(conn, errand):
        wanted = [each for each in chosen if not each.left_out]
        forecasts = await foretell(conn, [_wish(each) for each in wanted], shop_timezone)
        told = {each.entry.id: forecast for each, forecast in zip(wanted, forecasts, strict=True)}
        for each in chosen:
            forecast = told.get(each.entry.id)
            counts[forecast.outcome.value if forecast else "not edited" if each.is_same else "left out"] += 1
            if not each.is_same:
                print(f"{each.entry.id}: {printable(forecast.sentence if forecast else each.left_out)}")
        last = chosen[-1].entry.id
    total = counts.total()
    if not total:
        print("No open entry matches.")
        return
    summary = ", ".join(f"{name} {number}" for name, number in sorted(counts.items()))
    print(f"\n{counted(total, 'entry', 'entries')}: {summary}. Nothing was changed.")
    await _tell_more(conn, errand, total, last)


async def wish(conn: AsyncConnection, errand: Errand) -> list[Request]:
    """Writes the requests, all in one transaction, and prints what was written and what was left out."""
    requests: list[Request] = []
    left_out: list[str] = []
    total = last = same = 0
    async with conn.transaction():
        await Requests().take_turns(conn)
        async for chosen in _choose(conn, errand):
            wanted = [(each.entry.id, each.payload) for each in chosen if not each.left_out]
            written = await Requests().write(conn, wanted, errand.by)
            requests += written
            same += sum(each.is_same for each in chosen)
            left_out += [
                f"{each.entry.id}: {each.left_out}" for each in chosen if each.left_out and not each.is_same
            ]
            missed = {entry_id for entry_id, _ in wanted} - {request.entry_id for request in written}
            left_out += [f"{entry_id}: was settled meanwhile" for entry_id in sorted(missed)]
            total, last = total + len(chosen), chosen[-1].entry.id
    for line in left_out:
        print(printable(line))
    if same:
        print(f"{counted(same, 'entry is', 'entries are')} as before, so that nothing is requested for it.")
    print(_requested(requests, errand.by) if total else "No open entry matches; nothing was requested.")
    if total:
        await _tell_more(conn, errand, total, last)
    return requests


async def wait(conn: AsyncConnection, requests: Sequence[Request], seconds: float) -> int:
    """Waits for the worker's answers and prints them. Returns 0, or EXIT_NOT_MET where one is missing by then, or is that
    the record was refused again."""
    if not requests:
        return 0
    clock = SystemClock()
    answers = await Requests().answers(conn, requests, clock, clock.monotonic() + seconds)
    for answer in answers[:MAX_LISTED_ANSWERS]:
        reason = f" ({answer.reason})" if answer.reason else ""
        now = f", now as entry {answer.refused_as}" if answer.refused_as else ""
        print(f"{answer.entry_id}: {answer.outcome}{reason}{now}")
    counts = Counter(answer.outcome for answer in answers)
    summary = ", ".join(f"{outcome} {count}" for outcome, count in sorted(counts.items()))
    print(
        f"{len(answers)} of {counted(len(requests), 'request', 'requests')} answered{': ' if answers else ''}{summary}."
    )
    if refused := counts[OutcomeKind.QUARANTINED]:
        entries = counted(refused, "record was", "records were")
        print(f"{entries} refused again; `tillstream quarantine list` shows what is wrong now.")
    if len(answers) < len(requests):
        print(
            f"After {seconds:g} s the others wait for etl-worker; `tillstream quarantine requests --open` lists them."
        )
    return EXIT_NOT_MET if refused or len(answers) < len(requests) else 0


async def _choose(conn: AsyncConnection, errand: Errand) -> AsyncIterator[list[Chosen]]:
    """The entries, page by page. Raises WrongOption, before the first, for an id that is none."""
    if errand.filters.ids is not None:
        await refuse_unknown(conn, errand.filters.ids)
    async for page in Entries().read(conn, errand.filters, errand.limit):
        yield [_chosen(entry, errand.mend) for entry in page]


def _chosen(entry: Entry, mend: Mend | None) -> Chosen:
    if entry.resolved_at is not None:
        return Chosen(entry, left_out=f"is settled already ({entry.resolution})")
    if entry.is_requested:
        return Chosen(entry, left_out="is requested already, and not answered yet")
    if mend is None:
        is_row = entry.job_id is not None and not is_object(entry.payload)
        return Chosen(entry, left_out=_IS_ROW if is_row else "")
    payload = mend(entry)
    if isinstance(payload, Unfit):
        return Chosen(entry, left_out=payload.why)
    if is_same(payload, entry.payload):
        return Chosen(entry, left_out=_UNCHANGED)
    return Chosen(entry, payload)


def _wish(chosen: Chosen) -> Wish:
    entry = chosen.entry
    payload = entry.payload if chosen.payload is None else chosen.payload
    return Wish(entry.entity, entry.message_id, entry.accepted_at, entry.version, payload, entry.reason)


def _requested(requests: Sequence[Request], by: str) -> str:
    if not requests:
        return "Nothing was requested."
    ids = [request.id for request in requests]
    listed = ", ".join(map(str, ids)) if len(ids) <= MAX_LISTED_IDS else f"{ids[0]} to {ids[-1]}"
    return f"Requested for {counted(len(ids), 'entry', 'entries')} by {printable(by)}, as {listed}."


async def _tell_more(conn: AsyncConnection, errand: Errand, total: int, last: int) -> None:
    if errand.filters.ids is None and await Entries().has_more(conn, errand.filters, last):
        print(more_sentence(total, last))
