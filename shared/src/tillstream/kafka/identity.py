"""Is this the log that we applied so far? A re-created topic or passed retention must not be taken for an empty one."""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple
from uuid import UUID

from tillstream.errors import BrokerUnavailable, Misconfigured
from tillstream.kafka.fence import Position
from tillstream.kafka.ports import Consumer
from tillstream.kafka.records import LogIdentity, Place


class Sight(NamedTuple):
    """What Kafka said of some logs, before their rows were read. The ids of topics are those that it knows."""

    starts: Mapping[Place, int]
    cluster_id: str
    topic_ids: Mapping[str, UUID]

    def identity(self, place: Place) -> LogIdentity:
        return LogIdentity(self.cluster_id, self.topic_ids.get(place.topic))


class IdentityWatch:
    """Compares what Kafka has with what the fence rows say, at every take-over and in between."""

    def __init__(self, consumer: Consumer, topics: Collection[str]) -> None:
        self._consumer = consumer
        self._topics = topics
        self._cluster_id = ""
        self._topic_ids: dict[str, UUID] = {}

    def __repr__(self) -> str:
        return (
            f"<IdentityWatch of {len(self._topic_ids)} topic ids in cluster {self._cluster_id or 'unknown'}>"
        )

    def forget(self) -> None:
        """The broker may be another one from now on, and an operator may have said so."""
        self._cluster_id = ""
        self._topic_ids.clear()

    async def look(self, places: Collection[Place]) -> Sight:
        """Before the rows are read: what they learn at first sight. Raises BrokerUnavailable."""
        if not self._cluster_id:
            self._cluster_id = await self._consumer.cluster_id()
        topic_ids = await self._consumer.topic_ids({place.topic for place in places})
        return Sight(await self._consumer.log_starts(places), self._cluster_id, topic_ids)

    async def check(self, positions: Mapping[Place, Position], sight: Sight) -> None:
        """Raises Misconfigured where a row speaks of another log, BrokerUnavailable."""
        ends = await self._consumer.log_ends(positions.keys())
        check_identity(positions, sight=sight, ends=ends)
        self._topic_ids |= {
            place.topic: at.topic_id for place, at in positions.items() if at.topic_id is not None
        }

    async def compare(self) -> BrokerUnavailable | None:
        """Whether the topics are still those of the take-over: a new log may reach as far as the old one, and to a client
        that goes on in it nothing happened. Raises Misconfigured; what kept Kafka from saying so is returned: it may be
        one topic that is gone, and the others are there."""
        try:
            now = await self._consumer.topic_ids(self._topics)
        except BrokerUnavailable as error:
            return error
        known = self._topic_ids
        refuse(
            (topic, topic_sentence(topic, known[topic], now[topic]))
            for topic in sorted(known.keys() & now.keys())
            if known[topic] != now[topic]
        )
        return None


def check_identity(positions: Mapping[Place, Position], *, sight: Sight, ends: Mapping[Place, int]) -> None:
    """Raises Misconfigured with one sentence per place whose log cannot be the one that its fence row speaks of, and the
    command by which an operator goes on.

    `ends` must have been read after `positions`: an offset may move until then.
    """
    refuse(
        (place.topic, sentence)
        for place, at in sorted(positions.items())
        if (
            sentence := difference(
                place, at.next_offset, at.identity, sight.starts[place], ends[place], sight.identity(place)
            )
        )
        is not None
    )


def refuse(problems: Iterable[tuple[str, str]]) -> None:
    """Raises Misconfigured if there are any. Each has a sentence, and what `accept` is to be called with."""
    sentences = list(problems)
    if sentences:
        targets = dict.fromkeys(target for target, _ in sentences)
        commands = ", ".join(f"`tillstream partitions accept {target} --from earliest`" for target in targets)
        raise Misconfigured(
            f"{' '.join(sentence for _, sentence in sentences)} Nothing is applied from there until an operator has decided"
            f" how to go on: {commands} says what that skips or reads again, and asks."
        )


def difference(
    place: Place, next_offset: int, known: LogIdentity, start: int, end: int, now: LogIdentity
) -> str | None:
    """What speaks against this log, in a sentence; None where nothing does."""
    if another := another_log(place, known, now):
        return another
    if next_offset < start:
        return (
            f"{place} goes on at offset {next_offset}, and its log begins at {start}: retention has passed."
        )
    if next_offset > end:
        return f"{place} goes on at offset {next_offset}, and its log ends at {end}: it was made anew."
    return None


def another_log(place: Place, known: LogIdentity, now: LogIdentity) -> str | None:
    """Where it is another cluster's, or of a topic that was made anew, however far it reaches."""
    if known.cluster_id != now.cluster_id and None not in {known.cluster_id, now.cluster_id}:
        return (
            f"{place} was read from Kafka cluster {known.cluster_id}, and this is cluster {now.cluster_id}."
        )
    if known.topic_id is not None and now.topic_id is not None and known.topic_id != now.topic_id:
        return topic_sentence(place, known.topic_id, now.topic_id)
    return None


def topic_sentence(read: Place | str, known: UUID, now: UUID) -> str:
    return (
        f"{read} was read from the topic of id {known}, and this is the topic of id {now}: it was made anew."
    )
