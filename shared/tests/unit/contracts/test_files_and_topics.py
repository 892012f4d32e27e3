"""File jobs cross Kafka whole, hostile ones are refused, and the topics are declared as the design has them."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillstream.contracts.encodings import Encoding
from tillstream.contracts.entities import FILES_TOPIC, TOPIC_OF, Entity
from tillstream.contracts.file_names import MAX_NAME_BYTES, MAX_STORED_NAME_BYTES, harmless, name_problem
from tillstream.contracts.files import FileJob, job_key, job_to_json, read_job
from tillstream.contracts.messages import Refusal
from tillstream.contracts.parsing import dump_json, parse_json
from tillstream.contracts.reasons import Reason
from tillstream.contracts.records import MAX_VALUE_BYTES
from tillstream.contracts.topics import MAX_MESSAGE_BYTES, TOPICS
from tillstream.folders import stored_name
from tillstream.testing.builders import ACCEPTED_AT, JOB_ID, file_job
from tillstream.testing.strategies import QUICK, json_values

pytestmark = pytest.mark.unit


def job_value(**changed: object) -> bytes:
    """A job's value with some fields replaced; None takes a field away."""
    fields: dict[str, Any] = {**parse_json(job_to_json(file_job())), **changed}
    return dump_json({name: value for name, value in fields.items() if value is not None})


@pytest.mark.parametrize(
    "job",
    [
        file_job(),
        file_job(as_of=ACCEPTED_AT - timedelta(days=9), kind=Entity.ORDER_ITEM, source="pärtner", bytes=0),
        file_job(encoding=Encoding.KOI8_R),
        file_job(refusal="refused_unopened: it is no regular file"),
        file_job(file_name="Größe, ‘новый’ 🧿.csv", stored_name="a b.csv", bytes=2**40),
    ],
)
def test_job_survives_the_road(job: FileJob) -> None:
    assert read_job(job_to_json(job), ACCEPTED_AT) == job
    assert job_key(JOB_ID) == str(JOB_ID).encode()


@pytest.mark.parametrize(
    "name", ["..", ".", "../a.csv", "/etc/passwd", "a/b", "a\\b", "", "a\x00b", "a\u202eb", "x" * 321, 5]
)
@pytest.mark.parametrize("field", ["file_name", "stored_name"])
def test_a_name_never_leads_out_of_its_folder(field: str, name: object) -> None:
    refusal = read_job(job_value(**{field: name}), ACCEPTED_AT)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.field) == (Reason.INVALID_TEXT, field)


# What separates, hides or ends a name somewhere comes often enough to be met alone and among others.
NAMES = st.text(
    st.sampled_from("a.b/\\ \0\n\x7f\x85\u2028\u202e\ufffeé😀{}%") | st.characters(),
    max_size=MAX_NAME_BYTES + 1,
)


@given(
    NAMES | NAMES.map(lambda name: name.encode("utf-8", "replace")[:MAX_NAME_BYTES].decode("utf-8", "ignore"))
)
def test_what_the_watcher_claims_the_loader_reads(name: str) -> None:
    job = file_job(file_name=name, stored_name=stored_name(JOB_ID, name))
    if name_problem(name) is None:
        assert read_job(job_to_json(job), ACCEPTED_AT) == job


@given(NAMES)
def test_what_the_watcher_refuses_is_put_away_under_a_name_that_can_be_read(name: str) -> None:
    assert name_problem(stored_name(JOB_ID, harmless(name)), MAX_STORED_NAME_BYTES) is None


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"job_id": "17"}, Reason.INVALID_ID),
        ({"job_id": JOB_ID.hex}, Reason.INVALID_ID),
        ({"job_id": None}, Reason.MISSING_FIELD),
        ({"bytes": -1}, Reason.NEGATIVE_AMOUNT),
        ({"bytes": True}, Reason.INVALID_NUMBER),
        ({"bytes": 2**63}, Reason.INVALID_NUMBER),
        ({"source": "\x1f"}, Reason.INVALID_TEXT),
        ({"kind": "invoice"}, Reason.INVALID_RECORD),
        ({"encoding": "latin-9"}, Reason.INVALID_RECORD),
        ({"encoding": "utf-16"}, Reason.INVALID_RECORD),
        ({"encoding": 1252}, Reason.INVALID_RECORD),
        ({"refusal": ""}, Reason.INVALID_TEXT),
        ({"refusal": True}, Reason.INVALID_TEXT),
        ({"claimed_at": "soon"}, Reason.INVALID_TIMESTAMP),
        ({"claimed_at": (ACCEPTED_AT + timedelta(minutes=6)).isoformat()}, Reason.INVALID_TIMESTAMP),
        ({"as_of": (ACCEPTED_AT + timedelta(minutes=6)).isoformat()}, Reason.INVALID_TIMESTAMP),
        ({"colour": 1}, Reason.UNKNOWN_FIELD),
    ],
)
def test_job_that_breaks_a_rule_is_refused(changed: dict[str, object], reason: Reason) -> None:
    refusal = read_job(job_value(**changed), ACCEPTED_AT)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.field) == (reason, next(iter(changed)))


@QUICK
@given(
    value=st.none()
    | st.binary(max_size=40)
    | json_values().map(lambda value: dump_json(parse_json(dump_json(value))))
)
def test_any_value_is_a_job_or_a_refusal(value: bytes | None) -> None:
    assert isinstance(read_job(value, ACCEPTED_AT), Refusal)


def test_job_with_a_field_that_has_no_name_in_unicode_is_refused() -> None:
    value = job_to_json(file_job()).replace(b'"bytes"', b'"\\ud800":1,"bytes"')
    assert isinstance(read_job(value, ACCEPTED_AT), Refusal)


def test_topics_are_declared_for_every_record_and_for_jobs() -> None:
    assert {spec.name: spec.partitions for spec in TOPICS} == {
        **dict.fromkeys(TOPIC_OF.values(), 12),
        FILES_TOPIC: 3,
    }


def test_topics_keep_records_by_time_and_take_what_a_door_lets_through() -> None:
    for spec in TOPICS:
        assert spec.config["cleanup.policy"] == "delete"
        assert spec.config["message.timestamp.type"] == "LogAppendTime"
        assert int(spec.config["retention.ms"]) == timedelta(days=30) / timedelta(milliseconds=1)
        assert int(spec.config["max.message.bytes"]) == MAX_MESSAGE_BYTES > MAX_VALUE_BYTES
