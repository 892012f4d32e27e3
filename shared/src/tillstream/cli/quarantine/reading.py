"""`list`, `show`, `export` and `requests`: what is looked at and not changed."""

from typing import BinaryIO

from psycopg import AsyncConnection

from tillstream.cli.printing import counted, printable, table, when
from tillstream.cli.quarantine.edited import to_line
from tillstream.cli.quarantine.entries import Entries, Entry, Filters
from tillstream.cli.quarantine.requests import Requests, TrailFilters
from tillstream.errors import WrongOption

MAX_SHOWN_BYTES = 64 * 1024
# All that can be; the codes are a closed list, and sources are few.
MAX_GROUPS = 1_000
MAX_SHOWN_REQUESTS = 20
_HEAD = ("id", "received", "reason", "source", "entity", "from", "message")
_GROUP_HEAD = ("entries", "reason", "source", "oldest", "newest")
_TRAIL_HEAD = ("request", "entry", "kind", "by", "requested", "answered", "outcome", "reason")


async def list_entries(conn: AsyncConnection, filters: Filters, limit: int) -> None:
    """Prints a line per entry, oldest first, and whether there are more."""
    entries = [
        entry async for page in Entries().read(conn, filters, limit, with_payload=False) for entry in page
    ]
    if not entries:
        print("No open entry matches.")
        return
    rows = [
        (each.id, each.received_at, each.reason, each.source, each.entity, each.origin, each.message)
        for each in entries
    ]
    print(table(_HEAD, rows))
    if await Entries().has_more(conn, filters, entries[-1].id):
        print(f"\n{more_sentence(len(entries), entries[-1].id)}")


async def list_groups(conn: AsyncConnection, filters: Filters) -> None:
    """Prints a line per reason and source."""
    groups = await Entries().groups(conn, filters, MAX_GROUPS + 1)
    if not groups:
        print("No open entry matches.")
        return
    print(
        table(_GROUP_HEAD, [(g.entries, g.reason, g.source, g.oldest, g.newest) for g in groups[:MAX_GROUPS]])
    )
    if len(groups) > MAX_GROUPS:
        print(
            f"\nThere are more groups; these are the {MAX_GROUPS} largest. --reason or --source narrows them down."
        )


async def show_entry(conn: AsyncConnection, entry_id: int) -> None:
    """Prints everything about one entry. Raises WrongOption where there is none of that id."""
    entry = await find_entry(conn, entry_id)
    print(f"entry      {entry.id}: {_state(entry)}")
    print(f"message    {entry.message_id} ({entry.entity})")
    print(f"reason     {entry.reason}: {printable(entry.message)}")
    print(f"source     {printable(entry.source)}")
    print(f"from       {entry.origin}")
    print(f"accepted   {when(entry.accepted_at)}")
    print(f"received   {when(entry.received_at)}")
    print(f"payload    {counted(len(entry.payload), 'byte', 'bytes')}\n")
    print(printable(entry.payload[:MAX_SHOWN_BYTES].decode("utf-8", "backslashreplace")))
    if len(entry.payload) > MAX_SHOWN_BYTES:
        print(
            f"\nThese are the first {MAX_SHOWN_BYTES} bytes; `tillstream quarantine export {entry.id}` has all."
        )
    traces = await Requests().trail(conn, TrailFilters(entry=entry_id), MAX_SHOWN_REQUESTS)
    if traces:
        print(f"\n{table(_TRAIL_HEAD, traces)}")


async def export_entries(
    conn: AsyncConnection, filters: Filters, limit: int, out: BinaryIO
) -> tuple[int, str]:
    """Writes a line per entry; how many, and a sentence where more matched. Raises WrongOption for an id that is none."""
    count, last = 0, 0
    async for page in Entries().read(conn, filters, limit):
        out.writelines(to_line(entry) + b"\n" for entry in page)
        count, last = count + len(page), page[-1].id
    if filters.ids is not None and count < len(filters.ids):
        await refuse_unknown(conn, filters.ids)
    is_cut = filters.ids is None and count and await Entries().has_more(conn, filters, last)
    return count, more_sentence(count, last) if is_cut else ""


async def list_requests(conn: AsyncConnection, filters: TrailFilters, limit: int) -> None:
    """Prints who asked for what, when, and what became of it."""
    traces = await Requests().trail(conn, filters, limit + 1)
    if not traces:
        print("No request matches.")
        return
    print(table(_TRAIL_HEAD, traces[:limit]))
    if len(traces) > limit:
        print(f"\nThere are older ones: go on with --before {traces[limit - 1].id}.")


async def find_entry(conn: AsyncConnection, entry_id: int) -> Entry:
    """Raises WrongOption where there is none of that id."""
    async for page in Entries().read(conn, Filters(ids=(entry_id,)), 1):
        return page[0]
    raise _no_entry(entry_id)


async def refuse_unknown(conn: AsyncConnection, ids: tuple[int, ...]) -> None:
    """Raises WrongOption where one of the ids is that of no entry."""
    known = {
        entry.id
        async for page in Entries().read(conn, Filters(ids=ids), len(ids), with_payload=False)
        for entry in page
    }
    for entry_id in ids:
        if entry_id not in known:
            raise _no_entry(entry_id)


def _no_entry(entry_id: int) -> WrongOption:
    return WrongOption(f"ID must be that of an entry, and there is no entry {entry_id}.")


def more_sentence(count: int, last: int) -> str:
    """What to do where more entries match than were taken."""
    return f"More entries match than --limit; these are the first {count}. Go on with --after {last}, or raise --limit."


def _state(entry: Entry) -> str:
    if entry.resolved_at is not None:
        return f"settled {when(entry.resolved_at)} ({entry.resolution})"
    return "open, and a request for it is not answered yet" if entry.is_requested else "open"
