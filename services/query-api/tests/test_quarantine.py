"""Quarantine: open entries, counts, payloads that can be read whatever they are."""

from uuid import uuid4

import pytest

from query_api import quarantine
from query_api.quarantine import MAX_PAYLOAD_BYTES
from tillstream.testing.shop_rows import LONG_AGO, ShopRows

from .conftest import Api

pytestmark = pytest.mark.integration


async def test_an_entry_says_what_was_refused_and_where_it_came_from(api: Api, rows: ShopRows) -> None:
    message_id = rows.refused(
        b'{"user_id": 0}', topic="shop.events.v1", kafka_partition=3, kafka_offset=17, field="user_id"
    )
    answer = await api.get("/quarantine")
    [entry] = answer["quarantine"]
    assert entry.pop("id") > 0
    assert entry.pop("received_at").endswith("Z")
    assert entry == {
        "reason": "invalid_timestamp",
        "message": "event_timestamp is no time.",
        "source": "shop",
        "payload": '{"user_id": 0}',
        "payload_bytes": 14,
        "entity": "event",
        "field": "user_id",
        "message_id": str(message_id),
        "topic": "shop.events.v1",
        "partition": 3,
        "offset": 17,
        "job_id": None,
        "line": None,
        "accepted_at": "2024-01-01T00:00:00Z",
    }
    assert (answer["counts"], answer["next_cursor"]) == ({"invalid_timestamp": 1}, None)


async def test_resolved_entries_are_not_shown(api: Api, rows: ShopRows) -> None:
    rows.refused(resolved_at=LONG_AGO, resolution="stored")
    answer = await api.get("/quarantine")
    del answer["freshness"]
    assert answer == {"quarantine": [], "counts": {}, "counts_by_source": {}, "next_cursor": None}


async def test_counts_cover_all_entries_under_the_filters(api: Api, rows: ShopRows) -> None:
    for reason, source, count in (
        ("invalid_email", "shop", 3),
        ("invalid_email", "acme", 1),
        ("invalid_id", "acme", 2),
    ):
        for _ in range(count):
            rows.refused(reason=reason, source=source)
    everything = await api.get("/quarantine", limit=1)
    assert (len(everything["quarantine"]), everything["counts"]) == (1, {"invalid_email": 4, "invalid_id": 2})
    acme = await api.get("/quarantine", source="acme")
    assert (len(acme["quarantine"]), acme["counts"]) == (3, {"invalid_email": 1, "invalid_id": 2})
    both = await api.get("/quarantine", source="acme", reason="invalid_id")
    assert (len(both["quarantine"]), both["counts"]) == (2, {"invalid_id": 2})


async def test_counts_are_grouped_by_source_and_reason_too(api: Api, rows: ShopRows) -> None:
    for reason, source, entity, count in (
        ("invalid_email", "shop", "user", 1),
        ("invalid_email", "acme", "user", 1),
        ("invalid_id", "acme", "event", 2),
        ("invalid_id", "acme", "user", 1),
    ):
        for _ in range(count):
            rows.refused(reason=reason, source=source, entity=entity)
    rows.refused(source="gone", resolved_at=LONG_AGO, resolution="stored")

    everything = (await api.get("/quarantine", limit=1))["counts_by_source"]
    assert everything == {"acme": {"invalid_email": 1, "invalid_id": 3}, "shop": {"invalid_email": 1}}
    assert list(everything) == ["acme", "shop"]
    for filters, grouped in (
        ({"source": "shop"}, {"shop": {"invalid_email": 1}}),
        ({"reason": "invalid_id"}, {"acme": {"invalid_id": 3}}),
        ({"reason": "invalid_id", "source": "shop"}, {}),
    ):
        assert (await api.get("/quarantine", **filters))["counts_by_source"] == grouped


async def test_only_the_largest_sources_are_named_and_all_are_counted(
    api: Api, rows: ShopRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "MAX_SOURCES", 2)
    for source, count in (("a", 1), ("b", 3), ("c", 2)):
        for _ in range(count):
            rows.refused(reason="invalid_id", source=source)
    answer = await api.get("/quarantine")
    assert answer["counts_by_source"] == {"b": {"invalid_id": 3}, "c": {"invalid_id": 2}}
    assert answer["counts"] == {"invalid_id": 6}


async def test_pages_hold_every_entry_once_newest_first(api: Api, rows: ShopRows) -> None:
    made = [str(rows.refused(message_id=uuid4())) for _ in range(5)]
    pages = [await api.get("/quarantine", limit=2)]
    while cursor := pages[-1]["next_cursor"]:
        pages.append(await api.get("/quarantine", limit=2, cursor=cursor))
    assert [entry["message_id"] for page in pages for entry in page["quarantine"]] == made[::-1]


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        (b"caf\xc3\xa9", "café"),
        (b"caf\xe9!", "caf\\xe9!"),
        (b"\x00\x1b[31m", "\x00\x1b[31m"),
        (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),
        (b"", ""),
        (b"cut \xe2\x82", "cut \\xe2\\x82"),
    ],
)
async def test_a_payload_is_shown_as_text_whatever_it_is(
    api: Api, rows: ShopRows, payload: bytes, shown: str
) -> None:
    rows.refused(payload)
    [entry] = (await api.get("/quarantine"))["quarantine"]
    assert (entry["payload"], entry["payload_bytes"]) == (shown, len(payload))


async def test_a_long_payload_is_cut_between_characters(api: Api, rows: ShopRows) -> None:
    # One byte, then characters of three bytes: the limit falls into the middle of one.
    payload = b"x" + "€".encode() * MAX_PAYLOAD_BYTES
    rows.refused(payload)
    [entry] = (await api.get("/quarantine"))["quarantine"]
    assert entry["payload"] == "x" + "€" * ((MAX_PAYLOAD_BYTES - 1) // 3)
    assert entry["payload_bytes"] == len(payload)
