"""Whether a log is the one that its fence row speaks of; Kafka in memory."""

from uuid import UUID

import pytest

from tillstream.clock import SystemClock
from tillstream.errors import BrokerUnavailable, Misconfigured
from tillstream.kafka.fence import Position
from tillstream.kafka.identity import IdentityWatch, Sight, check_identity
from tillstream.kafka.memory import MemoryBroker, MemoryConsumer
from tillstream.kafka.records import Place

pytestmark = pytest.mark.unit

ONE = Place("t", 1)
ID, FORMER = UUID(int=7), UUID(int=8)
SIGHT = Sight({ONE: 3}, "here", {"t": ID})


def check(position: Position, sight: Sight = SIGHT) -> None:
    check_identity({ONE: position}, sight=sight, ends={ONE: 10})


@pytest.mark.parametrize(
    ("position", "said"),
    [
        (Position(1, 4, "other"), "cluster other"),
        (Position(1, 2, "here"), "retention has passed"),
        (Position(1, 11, "here"), "made anew"),
        (Position(1, 5, "here", topic_id=FORMER), f"topic of id {FORMER}.* id {ID}: it was made anew"),
        (Position(1, 5, "other", topic_id=FORMER), "cluster other"),
    ],
)
def test_a_log_that_cannot_be_ours_is_refused(position: Position, said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        check(position)


def test_a_refusal_names_the_command_that_goes_on() -> None:
    with pytest.raises(Misconfigured, match=f"`tillstream partitions accept {ONE.topic} --from earliest`"):
        check(Position(1, 11))


@pytest.mark.parametrize(
    "position", [Position(1, 3, None), Position(1, 10, "here"), Position(1, 5, "here", topic_id=ID)]
)
def test_a_log_that_goes_on_is_ours(position: Position) -> None:
    check(position)


def test_an_id_that_the_broker_does_not_know_is_no_other_one() -> None:
    check(Position(1, 5, "here", topic_id=FORMER), SIGHT._replace(topic_ids={}))


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker(SystemClock())
    broker.create_topic("t", 2)
    broker.create_topic("u", 2)
    return broker


async def watching(broker: MemoryBroker) -> IdentityWatch:
    """One that has taken over what was read from the topics of now."""
    watch = IdentityWatch(MemoryConsumer(broker, group="g"), ["t", "u"])
    places = broker.places("t") + broker.places("u")
    sight = await watch.look(places)
    positions = {place: Position(1, 0, "memory", topic_id=sight.identity(place).topic_id) for place in places}
    await watch.check(positions, sight)
    return watch


async def test_a_topic_that_is_made_anew_meanwhile_is_noticed(broker: MemoryBroker) -> None:
    watch = await watching(broker)
    assert await watch.compare() is None
    broker.create_topic("t", 2)
    with pytest.raises(
        Misconfigured, match=r"^t was read .* `tillstream partitions accept t --from earliest`"
    ):
        await watch.compare()


async def test_a_topic_that_is_gone_is_waited_for(broker: MemoryBroker) -> None:
    watch = await watching(broker)
    broker.delete_topic("u")
    gone = await watch.compare()
    assert isinstance(gone, BrokerUnavailable)
    assert "no topic u" in str(gone)


async def test_ids_that_a_broker_does_not_know_are_not_compared(broker: MemoryBroker) -> None:
    watch = await watching(broker)
    broker.create_topic("t", 2)
    broker.knows_topic_ids = False
    await watch.compare()


async def test_what_was_forgotten_is_learnt_from_the_rows_again(broker: MemoryBroker) -> None:
    watch = await watching(broker)
    broker.create_topic("t", 2)
    watch.forget()
    await watch.compare()
