"""Plain rows are what the rules make of the same cells, and what the rules refuse is never among them."""

import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tillstream.contracts.csv_rows import row_message
from tillstream.contracts.entities import Entity
from tillstream.contracts.files import FileJob
from tillstream.contracts.messages import Message, microseconds
from tillstream.contracts.plain_rows import PlainRowReader, PlainRows, plain_line
from tillstream.testing.builders import ACCEPTED_AT, file_job
from tillstream.testing.strategies import QUICK

pytestmark = pytest.mark.unit

BERLIN = ZoneInfo("Europe/Berlin")
ORDER = ("order_id", "user_id", "order_date", "status", "total_amount", "updated_at")
EVENT = ("event_id", "user_id", "event_type", "product_id", "event_timestamp", "updated_at")
GOOD_ORDER = "1,2,2024-01-20T10:30:00Z,paid,12.30,"

ids = st.sampled_from(["1", "2", "17", "9" * 18, "9" * 19, "0", "-1", "01", "1.0", "", " 1"]) | st.integers(
    1, 10**19
).map(str)
times = st.sampled_from(
    [
        "2024-01-20T10:30:00Z", "2024-01-20 10:30", "2024-01-20", "2024-02-30", "2024-03-31", "2024-01-20T10:30:00.5Z",
        "2024-01-20T10:30:00.000000", "2024-01-20T10:30:00.000001Z", "2024-01-20T10:30:00+02:00", "1999-12-31", "2000-01-01",
        "2099-01-01", "2024-01-20Z", "2024-01-20T24:00", "20240120", "2024-01-20T10:30:60Z", "2100-01-01", "",
    ]
) | st.datetimes(ACCEPTED_AT.replace(tzinfo=None) - timedelta(days=1), datetime(2026, 12, 31)).map(  # noqa: DTZ001
    lambda moment: moment.isoformat() + "Z"
)  # fmt: skip
amounts = st.sampled_from(
    ["0", "0.0", "1.5", "12.34", "-1", "1.234", "1e3", ".5", "5.", "01", "9" * 10, "9" * 11, ""]
)
event_ids = st.sampled_from(
    [
        "",
        "17",
        "a-b",
        "6F1C1E0A-3c5b-5d7e-9a42-7411577ea300",
        "6f1c1e0a3c5b5d7e9a427411577ea300",
        "é",
        "x" * 320,
        "x" * 321,
    ]
)
CELLS = {
    "order_id": ids,
    "user_id": ids,
    "product_id": ids,
    "order_date": times,
    "event_timestamp": times,
    "updated_at": times,
    "status": st.sampled_from(["paid", "pending", "Paid", "paid ", ""]),
    "event_type": st.sampled_from(["page_view", "purchase", "viewed", ""]),
    "total_amount": amounts,
    "event_id": event_ids,
}

# Drawn as often as all others, so that many rows have no odd cell.
GOOD = {
    **dict.fromkeys(("order_id", "user_id", "product_id"), ("3", "4", "5")),
    **dict.fromkeys(
        ("order_date", "event_timestamp"), ("2024-01-20T10:30:00.5Z", "2024-01-20 10:30", "2024-07-01")
    ),
    "updated_at": ("", "2024-01-21"),
    "status": ("paid", "shipped"),
    "event_type": ("page_view", "add_to_cart"),
    "total_amount": ("1.5", "7", "1234567890.12"),
    "event_id": ("", "a-7", "6f1c1e0a-3c5b-5d7e-9a42-7411577ea300"),
}


def read(
    entity: Entity, columns: Sequence[str], texts: Sequence[str], job: FileJob, separator: str = ","
) -> PlainRows:
    """The plain rows of a file whose first row is on line 2."""
    pattern = plain_line(entity, columns, separator)
    assert pattern is not None
    found = [pattern.fullmatch(text.encode().decode("latin-1")) for text in texts]
    lines = [line for line, match in enumerate(found, 2) if match is not None]
    cells = [match.groups("") for match in found if match is not None]
    return PlainRowReader(entity, columns, job, BERLIN).read(lines, cells)


def message_of(entity: Entity, cells: dict[str, str], line: int, job: FileJob) -> Message:
    return row_message(entity, cells, payload=b"", job=job, line=line, shop_timezone=BERLIN)


def as_row(rows: PlainRows, place: int, job: FileJob) -> dict[str, object]:
    """One of them, for a comparison with a message."""
    row: dict[str, object] = {
        "id": rows.ids[place],
        "user_id": rows.users[place],
        "kind": rows.kinds[place],
        "happened": rows.happened[place],
    }
    if rows.entity is Entity.EVENT:
        return {**row, "product_id": rows.products[place]}
    updated = rows.updated[place]
    at = microseconds(job.as_of or job.claimed_at) if updated is None else updated
    version = struct.pack(">qqq16s", at, microseconds(job.claimed_at), rows.lines[place], rows.ids[place])
    content = {"key": rows.keys[place], "cents": rows.cents[place], "hash": rows.hashes[place]}
    return {**row, **content, "version": version}


def as_message(message: Message) -> dict[str, object]:
    """The same of what the rules made."""
    content = message.content
    assert content is not None, f"the rules refuse it: {message.refusal}"
    moment = content["event_timestamp" if message.entity is Entity.EVENT else "order_date"]
    row = {
        "id": message.message_id.bytes,
        "user_id": content["user_id"],
        "kind": content["event_type" if message.entity is Entity.EVENT else "status"],
        "happened": microseconds(moment),
    }
    if message.entity is Entity.EVENT:
        return {**row, "product_id": content.get("product_id")}
    order = {"key": content["order_id"], "cents": int(content["total_amount"] * 100)}
    return {**row, **order, "hash": message.content_hash, "version": message.version}


@settings(QUICK, max_examples=300)
@given(data=st.data())
def test_a_plain_row_is_what_the_rules_make_of_it(data: st.DataObject) -> None:
    entity, names = data.draw(st.sampled_from([(Entity.ORDER, ORDER), (Entity.EVENT, EVENT)]))
    columns = data.draw(st.permutations(names))
    cells = {name: st.sampled_from(GOOD[name]) | CELLS[name] for name in columns}
    rows = data.draw(st.lists(st.fixed_dictionaries(cells), max_size=5))
    job = file_job(as_of=data.draw(st.sampled_from([None, datetime(2024, 2, 1, tzinfo=UTC)])))

    plain = read(entity, columns, [",".join(row[name] for name in columns) for row in rows], job)

    for place, line in enumerate(plain.lines):
        assert as_row(plain, place, job) == as_message(message_of(entity, rows[line - 2], line, job))
    assert len(set(plain.keys or plain.ids)) == len(plain)


@pytest.mark.parametrize(
    ("entity", "columns", "texts"),
    [
        (Entity.ORDER, ORDER, [GOOD_ORDER, "3,2,2024-01-20,shipped,0,2024-02-01T00:00:00.25Z", "4,2,2024-01-20 10:30,paid,1.5,"]),
        (Entity.ORDER, ORDER[:-1], ["1,2,2024-01-20T10:30:00,paid,12.30", "2,2,2023-07-01,cancelled,9999999999.99\r"]),
        (Entity.EVENT, EVENT, ["17,1,page_view,5,2024-01-20T10:30:00Z,", ",1,purchase,,2024-01-20T10:30:00Z,2024-01-21"]),
        (Entity.EVENT, EVENT[1:3] + EVENT[4:5], ["1,add_to_cart,2024-01-20T10:30:00.123Z"]),
    ],
)  # fmt: skip
def test_ordinary_rows_are_plain(entity: Entity, columns: Sequence[str], texts: list[str]) -> None:
    job = file_job()
    plain = read(entity, columns, texts, job)
    assert list(plain.lines) == list(range(2, len(texts) + 2))
    for place, text in enumerate(texts):
        cells = dict(zip(columns, text.rstrip("\r").split(","), strict=True))
        assert as_row(plain, place, job) == as_message(message_of(entity, cells, place + 2, job))


@pytest.mark.parametrize(
    "odd", ["1,2,2024-02-30,paid,1,", "1,2,2099-01-01,paid,1,", "1,2,2024-01-20,paid,1,2099-01-01T00:00Z", "7,2,2024-01-20,paid,2,"]
)  # fmt: skip
def test_rows_around_an_odd_one_stay_plain(odd: str) -> None:
    texts = [GOOD_ORDER.replace("1,", "5,", 1), odd, "6,2,2024-01-20,paid,1,", "7,2,2024-01-20,paid,1,"]
    plain = read(Entity.ORDER, ORDER, texts, file_job())
    assert list(plain.keys) == ([5, 6] if odd.startswith("7") else [5, 6, 7])


def test_no_row_is_plain_where_all_are_odd() -> None:
    assert len(read(Entity.ORDER, ORDER, ["1,2,2024-02-30,paid,1,"], file_job())) == 0


@pytest.mark.parametrize(
    ("entity", "columns"),
    [
        (Entity.USER, ("user_id", "name", "email", "signup_date")),
        (Entity.ORDER, ORDER[1:]),
        (Entity.ORDER, ("line", "reason", "message", "message_id", "version", *ORDER)),
    ],
)
def test_files_of_other_columns_have_no_plain_form(entity: Entity, columns: Sequence[str]) -> None:
    assert plain_line(entity, columns, ",") is None


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_an_id_ends_at_the_separator(separator: str) -> None:
    columns = ("event_id", "user_id", "event_type", "event_timestamp")
    texts = [separator.join(("a.b", "1", "purchase", "2024-01-20"))]
    assert len(read(Entity.EVENT, columns, texts, file_job(), separator)) == 1
    assert plain_line(Entity.EVENT, columns, separator).fullmatch("x" + separator + texts[0]) is None  # type: ignore[union-attr]
