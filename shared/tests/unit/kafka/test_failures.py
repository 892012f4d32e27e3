"""No error of aiokafka's is without a meaning here."""

import pytest
from aiokafka import errors as kafka

from tillstream.errors import BrokerUnavailable, Misconfigured, OwnershipLost, RecordTooLarge
from tillstream.kafka.failures import BUGS, LOST, MISCONFIGURED, TOO_LARGE, UNAVAILABLE, translate, translated

pytestmark = pytest.mark.unit

MEANINGS = (UNAVAILABLE, LOST, TOO_LARGE, MISCONFIGURED, BUGS)


def every_error() -> set[type[Exception]]:
    return {each for each in vars(kafka).values() if isinstance(each, type) and issubclass(each, Exception)}


def test_every_error_of_the_library_has_exactly_one_meaning() -> None:
    found = {each: sum(each in meaning for meaning in MEANINGS) for each in every_error()}
    assert {each.__name__: times for each, times in found.items() if times != 1} == {}


def test_no_meaning_is_given_to_an_error_that_is_gone() -> None:
    assert set().union(*MEANINGS) == every_error()


def test_what_the_library_calls_retriable_is_never_a_bug() -> None:
    retriable = {each for each in every_error() if getattr(each, "retriable", False)}
    assert retriable <= UNAVAILABLE


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (kafka.KafkaConnectionError("gone"), BrokerUnavailable),
        (kafka.CommitFailedError(), OwnershipLost),
        (kafka.MessageSizeTooLargeError(), RecordTooLarge),
        (kafka.OffsetOutOfRangeError({}), Misconfigured),
        (TimeoutError(), BrokerUnavailable),
        (ConnectionRefusedError(111, "refused"), BrokerUnavailable),
    ],
)
def test_theirs_becomes_ours_and_stays_its_cause(theirs: Exception, ours: type[Exception]) -> None:
    with pytest.raises(ours) as raised, translated():
        raise theirs
    assert raised.value.__cause__ is theirs


@pytest.mark.parametrize(
    "bug", [kafka.KafkaError("a task died"), kafka.IllegalArgumentError(), KeyError("x")]
)
def test_a_bug_goes_through_as_it_is(bug: Exception) -> None:
    assert translate(bug) is None
    with pytest.raises(type(bug)) as raised, translated():
        raise bug
    assert raised.value is bug
