"""Where partitions go on after an operator's word, and what they say about it."""

from collections.abc import Sequence
from uuid import UUID

import pytest

from tillstream.cli.partitions.plan import plan, refuse_owned
from tillstream.errors import Misconfigured, WrongOption
from tillstream.kafka.logs import Log, Logs
from tillstream.kafka.operator import FenceRow
from tillstream.kafka.records import LogIdentity, Place

pytestmark = pytest.mark.unit

ID = UUID(int=7)


def fence(
    partition: int,
    next_offset: int,
    cluster: str | None = "here",
    *,
    topic_id: UUID | None = ID,
    alive: bool = False,
) -> FenceRow:
    return FenceRow(Place("t", partition), 4, next_offset, cluster, topic_id, "worker@host:7", alive)


def logs(*bounds: tuple[int, int]) -> Logs:
    return Logs(LogIdentity("here", ID), {Place("t", at): Log(*each) for at, each in enumerate(bounds)})


def begins(fences: Sequence[FenceRow], found: Logs) -> dict[int, int]:
    return {step.fence.place.partition: step.begin for step in plan("t", None, None, fences, found)}


def test_a_topic_that_was_made_anew_is_read_from_its_beginning_as_a_whole() -> None:
    """Partition 1's old offset lies within the new log: what stands before it there was never read."""
    assert begins([fence(0, 50), fence(1, 3)], logs((0, 5), (0, 5))) == {0: 0, 1: 0}
    *_, second = plan("t", None, None, [fence(0, 50), fence(1, 3)], logs((0, 5), (0, 5)))
    assert (
        second.sentence
        == "t[1] is of the same topic. From 0 on it reads 5 records of the log of now, known ids once."
    )
    assert begins([fence(0, 5, "there"), fence(1, 3)], logs((0, 5), (0, 5))) == {0: 0, 1: 0}


def test_a_topic_of_another_id_is_another_log_however_far_it_reaches() -> None:
    found = logs((0, 9), (0, 9))
    former = UUID(int=8)
    assert begins([fence(0, 5, topic_id=former), fence(1, 3, topic_id=former)], found) == {0: 0, 1: 0}
    [step] = plan("t", 0, 2, [fence(0, 5, topic_id=former)], found)
    assert step.sentence == (
        f"t[0] was read from the topic of id {former}, and this is the topic of id {ID}: it was made anew."
        " From 2 on it reads 7 records of the log of now, known ids once, and skips 2 records before that."
    )


def test_an_id_that_is_not_known_is_no_other_one() -> None:
    assert begins([fence(0, 5, topic_id=None)], logs((0, 9))) == {}
    assert begins([fence(0, 5)], logs((0, 9))._replace(identity=LogIdentity("here"))) == {}


def test_only_where_retention_passed_something_is_skipped() -> None:
    assert begins([fence(0, 2), fence(1, 3)], logs((4, 9), (0, 5))) == {0: 4}
    assert begins([fence(0, 4), fence(1, 5)], logs((4, 9), (0, 5))) == {}


@pytest.mark.parametrize(
    ("at", "cluster", "begin", "effect"),
    [
        (
            50,
            "here",
            None,
            "its log ends at 9: it was made anew. From 4 on it reads 5 records of the log of now",
        ),
        (
            50,
            "here",
            6,
            "From 6 on it reads 3 records of the log of now, known ids once, and skips 2 records before",
        ),
        (
            6,
            "there",
            None,
            "read from Kafka cluster there, and this is cluster here. From 4 on it reads 5 records",
        ),
        (2, "here", None, "retention has passed. From 4 on it skips 2 records that the log no longer has."),
        (2, "here", 5, "it skips 2 records that the log no longer has and 1 record that it has."),
        (6, "here", 9, "t[0] is within its log. From 9 on it skips 3 records that it has."),
        (6, "here", 5, "t[0] is within its log. From 5 on it reads 1 record again, known ids once."),
        (6, "here", 6, "t[0] is within its log. From 6 on it skips nothing."),
    ],
)
def test_a_step_says_what_it_skips_or_reads_again(
    at: int, cluster: str, begin: int | None, effect: str
) -> None:
    [step] = plan("t", 0, begin, [fence(0, at, cluster)], logs((4, 9)))
    assert effect in step.sentence


@pytest.mark.parametrize(
    ("partition", "begin", "known", "sentence"),
    [
        (None, None, [], "TOPIC must be one that a worker has read"),
        (7, None, [0], "PARTITION must be one that a worker has read"),
        (None, 5, [0], "--from must be earliest where no PARTITION is given."),
        (0, 3, [0], "--from must be from 4 to 9, where the log of t[0] begins and ends."),
        (0, 10, [0], "--from must be from 4 to 9"),
        (1, None, [0, 1], "there is no t[1] any more"),
    ],
)
def test_what_is_not_there_is_named(
    partition: int | None, begin: int | None, known: list[int], sentence: str
) -> None:
    with pytest.raises(WrongOption) as raised:
        plan("t", partition, begin, [fence(each, 6) for each in known], logs((4, 9)))
    assert sentence in str(raised.value)


def test_a_worker_that_is_alive_is_named() -> None:
    with pytest.raises(Misconfigured, match=r"worker@host:7 owns t\[0\] and is alive: stop it first"):
        refuse_owned(plan("t", 0, None, [fence(0, 6, alive=True)], logs((4, 9))))
