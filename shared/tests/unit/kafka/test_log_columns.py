"""Batches in columns say what a reader says that goes by the lengths, or nothing."""

from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter

import pytest
from aiokafka.errors import CorruptRecordException
from hypothesis import given
from hypothesis import strategies as st

from tillstream.contracts.plain_columns import EVENT_FORM
from tillstream.contracts.record_forms import LEAST_RECORDS
from tillstream.kafka import log_columns
from tillstream.kafka.aio_records import moment
from tillstream.kafka.log_columns import Block, block_of, may_be_plain, written_number
from tillstream.kafka.log_format import BatchHead, LoggedRecord, read_stretch, unpacked, whole_batches
from tillstream.kafka.records import Place
from tillstream.testing.builders import ACCEPTED_AT
from tillstream.testing.log_batches import (
    APPEND_TIME,
    CONTROL,
    RECORDS_FROM,
    STAMP_MS,
    ZSTD,
    ToLog,
    blocks_of,
    door_headers,
    log_batch,
    plain_event,
    sealed,
)
from tillstream.testing.strategies import QUICK

pytestmark = pytest.mark.unit

PLACE = Place("shop.events.v1", 3)
PLAIN = [plain_event(number) for number in range(LEAST_RECORDS)]
BATCH = log_batch(PLAIN)
COUNTS = st.integers(LEAST_RECORDS, 40)
SOURCES = st.sampled_from(["shop", "partner-7", "ü" * 320, "x", "\N{KATAKANA LETTER A}" * 60])


def block(batch: bytes) -> Block | None:
    [found] = blocks_of(batch, PLACE)
    return found


def said(found: Block) -> list[LoggedRecord]:
    return [LoggedRecord(each.offset, each.key, each.value, each.headers, STAMP_MS) for each in found]


@given(COUNTS, st.integers(0, 2**40), st.sampled_from(range(5)), SOURCES)
@QUICK
def test_what_our_door_writes_is_read_as_the_lengths_say(
    count: int, base: int, codec: int, source: str
) -> None:
    records = [plain_event(number)._replace(headers=door_headers(number, source)) for number in range(count)]
    batch = log_batch(records, base=base, codec=codec)
    found = block(batch)
    assert found is not None
    assert said(found) == read_stretch(batch, base, 9_999).records
    assert (found.first_offset, found.next_offset, len(found)) == (base, base + count, count)
    assert list(found.column("ce_source")) == [source.encode()] * count
    assert list(found.column("user_id")) == [record.key for record in records]


@given(st.integers(RECORDS_FROM, len(BATCH) - 1), st.integers(1, 255))
@QUICK
def test_a_changed_byte_makes_it_another_form_or_the_same_for_both_readers(at: int, flip: int) -> None:
    agrees(bytes(byte ^ flip if place == at else byte for place, byte in enumerate(BATCH)))


@given(st.integers(RECORDS_FROM, len(BATCH) - 1), st.integers(0, 40), st.binary(max_size=40))
@QUICK
def test_bytes_taken_away_or_put_in_are_seen(at: int, taken: int, put: bytes) -> None:
    agrees(BATCH[:at] + put + BATCH[at + taken :])


@pytest.mark.parametrize("off", [-1, 1])
@pytest.mark.parametrize("part", ["_body", "_key", "_value", "ce_source", "ce_sequence"])
def test_a_length_that_lies_is_no_form(part: str, off: int) -> None:
    """The expression finds the parts without it."""
    size, content = (_column(f"{part}_size")[3], _column(part)[3])
    body = _column("_body")[3]
    lying = body.replace(size + content, written_number(len(content) + off) + content)
    whole = written_number(len(body) + (off if part == "_body" else 0)) + (body if part == "_body" else lying)
    changed = BATCH.replace(written_number(len(body)) + body, whole)
    assert changed != BATCH
    assert len(changed) == len(BATCH), "or something else is wrong, too"
    assert block(sealed(changed)) is None


def agrees(changed: bytes) -> None:
    """Where columns are found, the reader that goes by the lengths finds the same; it may read what has no plain form."""
    batch = sealed(changed)
    found = block(batch)
    if found is None:
        return
    try:
        by_lengths = read_stretch(batch, 0, 9_999).records
    except CorruptRecordException:
        pytest.fail("columns were found in what is no batch")
    assert said(found) == by_lengths
    for name, own in (("_key", attrgetter("key")), ("_value", attrgetter("value"))):
        assert list(found.column(name)) == list(map(own, by_lengths))
    assert list(found.column("ce_source")) == [dict(record.headers)["ce_source"] for record in by_lengths]


def test_what_stands_in_a_records_place_is_seen_although_the_count_is_right() -> None:
    head, data = _parts_of(BATCH)
    changed = data[: -len(_body(LEAST_RECORDS - 1))] + b"?"
    assert len(_found(changed)) == LEAST_RECORDS, "or its offset need not be looked at"
    assert block_of(EVENT_FORM, PLACE, head, changed, ACCEPTED_AT) is None


def test_the_search_ends_where_no_record_begins() -> None:
    """It would take long to go on at each byte of what somebody made to look nearly like a record."""
    head, data = _parts_of(BATCH)
    [(size, body), *_] = zip(_column("_body_size"), _column("_body"), strict=True)
    nearly = (size + body)[:-1] + b"?"
    assert [len(match) for match in _found(size + body + nearly * 3 + data)] == [
        len(size + body),
        3 * len(nearly) + len(data),
    ]
    for changed in (nearly + data, data[: len(size + body)] + nearly + data[len(size + body) :]):
        assert block_of(EVENT_FORM, PLACE, head, changed, ACCEPTED_AT) is None


def _parts_of(batch: bytes) -> tuple[BatchHead, bytes]:
    [(head, packed)] = whole_batches(batch)
    return head, unpacked(head, packed)


def _found(data: bytes) -> list[bytes]:
    return [match.group() for match in log_columns._expression(EVENT_FORM).finditer(data)]


@pytest.mark.parametrize(
    "odd",
    [
        ToLog(b"1", None, door_headers(1)),
        ToLog(None, plain_event(1).value, door_headers(1)),
        plain_event(1)._replace(headers=door_headers(1)[:-1]),
        plain_event(1)._replace(headers=[*door_headers(1), ("more", b"1")]),
        plain_event(1)._replace(headers=list(reversed(door_headers(1)))),
        plain_event(1, user_id="01"),
        plain_event(1, user_id='"1"'),
        plain_event(1, event_type='"a b"'),
        plain_event(1, other="1"),
        plain_event(1, event_timestamp='"2024-05-31T24:00:00Z"'),
    ],
)
def test_one_record_of_another_form_leaves_the_batch_to_others(odd: ToLog) -> None:
    assert block(log_batch([*PLAIN[:5], odd, *PLAIN[6:]])) is None
    assert block(log_batch([odd, *PLAIN[1:]])) is None


@pytest.mark.parametrize("flags", [0, APPEND_TIME | CONTROL])
def test_a_batch_of_the_brokers_or_with_times_of_its_sender_is_left_to_others(flags: int) -> None:
    assert block(log_batch(PLAIN, flags=flags)) is None


def test_a_small_batch_is_left_to_others() -> None:
    assert block(log_batch(PLAIN[1:])) is None


def test_a_batch_that_has_lost_records_is_left_to_others() -> None:
    [(head, packed)] = whole_batches(BATCH)
    assert not may_be_plain(EVENT_FORM, head._replace(records=head.records - 1))
    assert not may_be_plain(EVENT_FORM, head._replace(last_delta=head.last_delta + 1))
    assert (
        block_of(
            EVENT_FORM, PLACE, head._replace(records=head.records + 1), unpacked(head, packed), ACCEPTED_AT
        )
        is None
    )


def test_offsets_that_do_not_follow_each_other_are_no_form() -> None:
    one, two = _body(1), _body(2)
    swapped = BATCH.replace(one, b"?").replace(two, one).replace(b"?", two)
    assert swapped != BATCH
    assert block(sealed(swapped)) is None


def test_a_batch_that_unpacks_to_too_much_is_left_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = log_batch(PLAIN, codec=ZSTD)
    assert block(packed) is not None
    monkeypatch.setattr(log_columns, "MOST_BYTES", len(BATCH) - RECORDS_FROM - 1)
    assert block(packed) is None


def test_another_form_is_another_expression() -> None:
    form = replace(EVENT_FORM, key=b"[a-z]")
    [(head, packed)] = whole_batches(BATCH)
    assert block_of(form, PLACE, head, unpacked(head, packed), ACCEPTED_AT) is None


def test_some_of_a_block_are_records() -> None:
    found = block(BATCH)
    assert found is not None
    assert [each.offset for each in found[3:5]] == [3, 4]
    assert found[-1] == found[LEAST_RECORDS - 1]
    assert found[:] is found
    assert found[0].timestamp == ACCEPTED_AT == moment(STAMP_MS)
    assert found.size == sum(map(len, (_body(place) for place in range(LEAST_RECORDS))))


def _body(place: int) -> bytes:
    return _column("_body")[place]


def _column(name: str) -> Sequence[bytes]:
    found = block(BATCH)
    assert found is not None
    return found.column(name)
