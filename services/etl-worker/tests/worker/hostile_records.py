"""What somebody could put straight into Kafka, past every door: a table of it, and what must become of each."""

import json
from collections.abc import Sequence
from itertools import count
from typing import NamedTuple

from tillstream.contracts.entities import Entity
from tillstream.contracts.records import MAX_RECORD_BYTES
from tillstream.testing.builders import BUILD, inner_item, order_item

from .raw_batches import RawRecord

ALMOST_A_RECORD_BYTES = MAX_RECORD_BYTES - 64  # a record's own frame counts
SAFE_USER = 10**9  # ids of good users begin here
_next_user = count(SAFE_USER)


class Hostile(NamedTuple):
    """`is_kept` says whether it keeps the contract all the same, and must be stored."""

    entity: Entity
    record: RawRecord
    is_kept: bool = False


def good_user(**fields: object) -> bytes:
    """A user that nobody else is."""
    number = next(_next_user)
    user = {"user_id": number, "email": f"{number}@example.org", **fields}
    return json.dumps(BUILD[Entity.USER](**user)).encode()


def neighbour() -> RawRecord:
    return RawRecord(b"1", good_user(), [("ce_source", b"shop")])


def _user(old: str, new: str | bytes) -> bytes:
    """A good user with one piece of its JSON replaced."""
    text = good_user()
    assert old.encode() in text
    return text.replace(old.encode(), new if isinstance(new, bytes) else new.encode())


def _values() -> dict[str, bytes | None]:
    """Values of the topic of users that break their contract."""
    nested = {
        "deep_lists": b"[" * 200_000,
        "deep_objects": b'{"a":' * 100_000,
        "deep_in_a_field": _user('"Ann"', "[" * 5_000 + "]" * 5_000),
    }
    giants = {
        "giant_garbage": b"\xff" * ALMOST_A_RECORD_BYTES,
        "giant_text": _user('"Ann"', f'"{"x" * (ALMOST_A_RECORD_BYTES - 200)}"'),
        "giant_name_of_a_field": b'{"%s": 1}' % (b"x" * (ALMOST_A_RECORD_BYTES - 16)),
        "giant_number": b'{"user_id": %s}' % (b"9" * (ALMOST_A_RECORD_BYTES - 32)),
        "many_fields": json.dumps({f"f{each}": each for each in range(50_000)}).encode(),
    }
    times = {
        f"time_{at}": _user("2024-01-05", text)
        for at, text in enumerate(
            (
                "10000-01-01",
                "+010000-01-01T00:00:00Z",
                "9999-12-31T23:59:59-23:59",
                "0001-01-01T00:00:00+14:00",
                "0000-00-00",
                "2024-02-30",
                "1e9",
            )
        )
    }
    texts = {
        "lone_surrogate": _user('"Ann"', r'"\ud800"'),
        "raw_surrogate": _user("Ann", b"\xed\xa0\x80"),
        "escaped_nul": _user('"Ann"', r'"\u0000"'),
        "raw_nul": _user("Ann", b"A\0n"),
        "latin_1": _user("Ann", b"J\xfcrgen"),
        "nul_in_a_field_name": _user('"name"', r'"na\u0000me"'),
        "surrogate_in_a_field_name": _user('"name"', r'"\udfff"'),
    }
    numbers = {
        f"number_{at}": b'{"user_id": %s}' % text
        for at, text in enumerate(
            (b"NaN", b"Infinity", b"-Infinity", b"1e400", b"1e-999999999", b"-1", b"1.0")
        )
    }
    shapes = {
        f"shape_{at}": text
        for at, text in enumerate(
            (
                b"",
                b"null",
                b"1",
                b'"x"',
                b"[]",
                b"{}",
                b"\xef\xbb\xbf{}",
                '{"a": 1}'.encode("utf-16"),
                b"\xff\xfe\0",
            )
        )
    }
    return {"tombstone": None, **nested, **giants, **times, **texts, **numbers, **shapes}


def _headers() -> dict[str, tuple[Sequence[tuple[str, bytes | None]], bool]]:
    """Headers around good values, and whether the record is stored with them."""
    return {
        "no_headers": ((), True),
        "name_that_is_no_utf8": ([("~~~~", b"1")], True),
        "name_that_begins_like_ours": ([("ce_id~~~~", b"1"), ("ce_source", b"shop")], True),
        "empty_name": ([("", b"1")], True),
        "giant_value": ([("trace", b"x" * (ALMOST_A_RECORD_BYTES - 400))], True),
        "giant_id": ([("ce_id", b"x" * 500_000)], True),
        "giant_time": ([("ce_time", b"1" * 500_000)], True),
        "giant_source": ([("ce_source", b"x" * 500_000)], False),
        "giant_name": ([("x" * 500_000, b"1")], True),
        "a_huge_number": ([("x", b"")] * 50_000, True),
        "values_that_are_no_utf8": (
            [("ce_id", b"\xff"), ("ce_time", b"\xff"), ("ce_sequence", b"\xff"), ("ce_type", b"\xff")],
            True,
        ),
        "source_that_is_no_utf8": ([("ce_source", b"\xff")], False),
        "source_without_a_value": ([("ce_source", None)], False),
        "source_with_a_nul": ([("ce_source", b"a\0b")], False),
        "empty_source": ([("ce_source", b"")], False),
        "no_values": ([("ce_id", None), ("ce_time", None), ("ce_sequence", None)], True),
        "id_with_a_nul": ([("ce_id", b"\0")], True),
        "twice": ([("ce_source", b"\xff"), ("ce_source", b"shop")], True),
        "twice_the_other_way": ([("ce_source", b"shop"), ("ce_source", b"\xff")], False),
        "time_of_year_10000": ([("ce_time", b"10000-01-01T00:00:00Z")], True),
        "time_beyond_the_end": ([("ce_time", b"9999-12-31T23:59:59-23:59")], True),
        "time_before_the_beginning": ([("ce_time", b"0001-01-01T00:00:00+14:00")], True),
        "endless_sequence": ([("ce_sequence", b"9" * 10_000)], True),
        "negative_sequence": ([("ce_sequence", b"-1")], True),
    }


def hostile_records() -> dict[str, Hostile]:
    """All of them, by name. Ids are new in every call."""
    found = {
        f"value_{name}": Hostile(Entity.USER, RawRecord(b"1", value)) for name, value in _values().items()
    }
    for name, (headers, is_kept) in _headers().items():
        found[f"headers_{name}"] = Hostile(Entity.USER, RawRecord(b"1", good_user(), headers), is_kept)
    for name, key in {
        "none": None,
        "empty": b"",
        "other": b"77",
        "no_utf8": b"\xff",
        "giant": b"k" * 500_000,
    }.items():
        found[f"key_{name}"] = Hostile(Entity.USER, RawRecord(key, good_user()), is_kept=True)
    odd_name = [("~~~~", b"1")]
    found["rubbish_under_an_odd_name"] = Hostile(Entity.USER, RawRecord(b"1", b"{", odd_name))
    found["tombstone_under_an_odd_name"] = Hostile(Entity.USER, RawRecord(b"1", None, odd_name))
    found["neither_key_nor_value"] = Hostile(Entity.USER, RawRecord(None, None))
    items = [inner_item(order_item_id=each) for each in range(1, 1_002)]
    found["order_with_too_many_items"] = Hostile(
        Entity.ORDER, RawRecord(b"1", json.dumps(order_item(items=items)).encode())
    )
    for name, amount in {"nan": "NaN", "endless": "9" * 5_000, "exponent": "1e999999999"}.items():
        value = json.dumps(order_item()).replace('"39.80"', amount).encode()
        found[f"order_of_{name}"] = Hostile(Entity.ORDER, RawRecord(b"1", value))
        event = b'{"event_id": %s}' % amount.encode()
        found[f"event_{name}"] = Hostile(Entity.EVENT, RawRecord(b"1", event))
        product = json.dumps(BUILD[Entity.PRODUCT]()).replace('"19.90"', amount).encode()
        found[f"product_of_{name}"] = Hostile(Entity.PRODUCT, RawRecord(b"1", product))
    found["event_tombstone"] = Hostile(Entity.EVENT, RawRecord(b"1", None))
    found["event_deep"] = Hostile(Entity.EVENT, RawRecord(b"1", b'{"event_id":' * 50_000))
    return found
