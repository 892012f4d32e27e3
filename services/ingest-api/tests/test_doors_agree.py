"""The quick way through the door and the long one: the same answer and the same records, whatever is sent."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest_api import ingest_batch, routes
from ingest_api.plain_events import PlainEvents, read_plain
from tillstream.contracts.rules import Rules
from tillstream.kafka.records import Record
from tillstream.testing.strategies import ID_TEXTS, TYPE_NAMES, json_values

from .conftest import NOW, UTC_ZONE, Bench, open_bench

pytestmark = pytest.mark.unit

ID = "0192f0c1-7e2a-7c40-9b1e-3f5a8d2c6b70"
IDS = [
    ID,
    ID.upper(),
    ID.replace("-", ""),
    f"{ID}\n{ID}",
    ID[:-1],
    f"{ID[:-1]}g",
    f"{ID}\n",
    "17",
    "",
    " ",
    "\u0000",
]
IDS += [
    ID.replace("-", "0"),
    ID[:8].upper() + ID[8:],
    f"{ID[1:]}-",
    "é" * 36,
    "\ud800",
    ID.replace("0", "\N{ARABIC-INDIC DIGIT ZERO}"),
]
TIMES = [
    "2024-06-01T12:00:00Z",
    "2024-06-01T12:00:00.123456Z",
    "2024-06-01T12:00:00.1Z",
    "2024-06-01T12:00:00.000Z",
]
TIMES += [
    "2024-06-01T12:00Z",
    "2024-06-01 12:00:00Z",
    "2024-06-01T12:00:00",
    "2024-06-01T12:00:00+02:00",
    "2024-06-01",
]
TIMES += [
    "2024-02-30T12:00:00Z",
    "2024-06-01T24:00:00Z",
    "2024-06-01T12:00:60Z",
    "2024-06-01T12:00:00.1234567Z",
]
TIMES += [
    "2024-06-01T12:00:00Z\n2024-06-01T12:00:00Z",
    "2024-06-01T12:00:00Z\n",
    "",
    "noon",
    "2024-06-01t12:00:00z",
]
TIMES += [
    "1999-12-31T23:59:59Z",
    "2000-01-01T00:00:00Z",
    "2024-06-02T12:00:00Z",
    "2024-06-02T12:00:00.000001Z",
]
GOOD = {"user_id": "7", "event_type": '"purchase"', "event_timestamp": '"2024-06-01T12:00:00Z"'}


def texts(values: Sequence[str]) -> st.SearchStrategy[str]:
    """JSON texts of these, good ones more often, null now and then."""
    return st.sampled_from([values[0]] * 8 + [*values]).map(json.dumps) | st.just("null")


MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        "event_id": texts(IDS),
        "user_id": st.sampled_from(("3",) * 6 + ID_TEXTS),
        "event_type": texts(TYPE_NAMES),
        "product_id": st.sampled_from(("3",) * 6 + ID_TEXTS),
        "event_timestamp": texts(TIMES),
        "updated_at": st.just('"2024-06-01T12:00:00Z"'),
        "other": st.just("1"),
    },
)
ITEM = MEMBERS.map(lambda changed: written({**GOOD, **changed}))
PLAIN_ITEM = st.fixed_dictionaries(
    {"user_id": st.integers(1, 99).map(str)},
    optional={"event_id": st.uuids().map(lambda made: json.dumps(str(made))), "product_id": st.just("3")},
).map(lambda changed: written({**GOOD, **changed}))
ITEMS = st.lists(PLAIN_ITEM, min_size=1, max_size=6) | st.lists(
    ITEM | json_values().map(json.dumps), max_size=4
)
HEADERS = st.fixed_dictionaries(
    {"content-type": st.sampled_from(["application/json"] * 4 + ["application/json; charset=utf-8", "text/json", ""])},
    optional={
        "x-source": st.sampled_from(["acme", "a b", "a\tb", "x" * 65]),
        "idempotency-key": st.sampled_from(["k1", "two words", "ü", "x" * 256]),
        "content-encoding": st.sampled_from(["identity", "gzip"]),
        "x-request-id": st.just("r1"),
    },
)  # fmt: skip
QUERIES = st.sampled_from([""] * 6 + ["?source=acme", "?sorce=acme", "?source=a&source=b", "?"])
JSON_HEADERS = {"content-type": "application/json"}
Sent = tuple[str, bytes, dict[str, str]]
Posted = tuple[int, dict[str, str], bytes, list[Record]]


def written(members: dict[str, str]) -> str:
    return "{" + ",".join(f"{json.dumps(name)}: {text}" for name, text in members.items()) + "}"


def ids_by_count(patch: pytest.MonkeyPatch) -> None:
    """Ids that both ways make alike: what they have to share is everything else."""
    numbers: Iterator[int] = iter(range(1, 10**6))

    def made(count: int) -> list[str]:
        return [f"00000000-0000-7000-8000-{next(numbers):012d}" for _ in range(count)]

    patch.setattr(ingest_batch, "new_ids", made)
    patch.setattr(ingest_batch, "new_id", lambda: made(1)[0])


@contextmanager
def patched(*changes: tuple[object, str, object]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        ids_by_count(patch)
        for target, name, value in changes:
            patch.setattr(target, name, value)
        yield


def nothing(*_: object) -> None:
    """In place of a quick reader: it never says a word."""


async def post(bench: Bench, path: str, body: bytes, headers: dict[str, str]) -> Posted:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    answer: httpx2.Response = await bench.client.post(path, content=body, headers=raw)
    kept = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
    return answer.status_code, kept, answer.content, bench.records()


async def agree(path: str, body: bytes, headers: dict[str, str]) -> None:
    await agree_on([(path, body, headers)])


async def agree_on(requests: Sequence[Sent]) -> None:
    """Each request on its own: what is in the log is compared after every one."""
    with patched():
        async with open_bench() as bench:
            quick = [await post(bench, *request) for request in requests]
    with patched((ingest_batch, "read_plain", nothing), (routes, "plain_parameters", nothing)):
        async with open_bench() as bench:
            by_the_rules = [await post(bench, *request) for request in requests]
    for request, one, other in zip(requests, quick, by_the_rules, strict=True):
        assert one == other, request


EVERY_VALUE = {
    "event_id": [json.dumps(each) for each in IDS],
    "user_id": ID_TEXTS,
    "event_type": [json.dumps(each) for each in TYPE_NAMES],
    "product_id": ID_TEXTS,
    "event_timestamp": [json.dumps(each) for each in TIMES],
    "updated_at": ['"2024-06-01T12:00:00Z"', "null"],
    "other": ["1"],
}


@pytest.mark.parametrize("member", EVERY_VALUE)
async def test_they_do_for_every_value_of_one_member_among_plain_ones(member: str) -> None:
    changed = [written({**GOOD, member: text}) for text in EVERY_VALUE[member]]
    beside = written({**GOOD, "event_id": f'"{ID}"'})
    await agree_on([("/ingest/events", f"[{beside},{each}]".encode(), JSON_HEADERS) for each in changed])


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("x-source", ["acme", "a b", "x" * 64, "x" * 65, "", "é"]),
        ("idempotency-key", ["k1", "two words", "ü", "x" * 255, "x" * 256, ""]),
        ("content-encoding", ["identity", "gzip", ""]),
        (
            "content-type",
            ["application/json; charset=utf-8", "application/json;charset=utf-16", "text/json", ""],
        ),
    ],
)
async def test_they_do_for_every_value_of_one_header(name: str, values: list[str]) -> None:
    body = written(GOOD).encode()
    await agree_on([("/ingest/events", body, {**JSON_HEADERS, name: value}) for value in values])


@settings(max_examples=60, deadline=None)
@given(
    items=ITEMS,
    headers=HEADERS,
    query=QUERIES,
    form=st.sampled_from(["[{}]", " [{}]\n", "{}", '{{"a": [{}]}}']),
)
@example(items=[written(GOOD)], headers={"content-type": "application/json"}, query="", form="{}")
async def test_quick_door_and_rules_say_and_send_the_same(
    items: list[str], headers: dict[str, str], query: str, form: str
) -> None:
    await agree(f"/ingest/events{query}", form.format(",".join(items)).encode("utf-8", "replace"), headers)


@settings(max_examples=25, deadline=None)
@given(items=ITEMS, gap=st.sampled_from(["\n", "\r\n", "\n \n", ",", " "]))
async def test_they_do_for_lines_too(items: list[str], gap: str) -> None:
    body = gap.join(items).encode("utf-8", "replace")
    await agree("/ingest/events", body, {"content-type": "application/x-ndjson"})


@given(items=st.lists(PLAIN_ITEM, min_size=1, max_size=6))
def test_what_clients_send_every_day_is_plain(items: list[str]) -> None:
    body = f"[{', '.join(items)}]".encode()
    assert isinstance(read_plain(body, Rules(NOW, UTC_ZONE), len(items)), PlainEvents)


def unbounded(texts: Any, rules: Rules, max_items: int) -> PlainEvents | None:
    """A planted bug: the quick reader looks at no bound of time."""
    late = Rules(rules.accepted_at.replace(year=2999), rules.shop_timezone)
    return read_plain(texts, late, max_items)


@pytest.mark.parametrize("planted", [unbounded])
async def test_planted_difference_is_found(planted: Callable[..., PlainEvents | None]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest_batch, "read_plain", planted)
        late = written({**GOOD, "event_timestamp": '"2030-01-01T00:00:00Z"'})
        with pytest.raises(AssertionError):
            await agree("/ingest/events", late.encode(), {"content-type": "application/json"})
