"""Is this the log that we applied so far? A re-created topic or passed retention must not be taken for an empty one."""

from collections.abc import Mapping

from tillstream.errors import Misconfigured
from tillstream.kafka.fence import Position
from tillstream.kafka.records import Place


def check_identity(
    positions: Mapping[Place, Position],
    *,
    starts: Mapping[Place, int],
    ends: Mapping[Place, int],
    cluster_id: str,
) -> None:
    """Raises Misconfigured with one sentence per place whose log cannot be the one that its fence row speaks of, and the
    command by which an operator goes on.

    `ends` must have been read after `positions`: an offset may move until then.
    """
    problems = {
        place: sentence
        for place, at in sorted(positions.items())
        if (
            sentence := difference(
                place, at.next_offset, at.cluster_id, starts[place], ends[place], cluster_id
            )
        )
        is not None
    }
    if problems:
        topics = sorted({place.topic for place in problems})
        commands = ", ".join(f"`tillstream partitions accept {topic} --from earliest`" for topic in topics)
        raise Misconfigured(
            f"{' '.join(problems.values())} Nothing is applied from there until an operator has decided how to go on:"
            f" {commands} says what that skips or reads again, and asks."
        )


def difference(
    place: Place, next_offset: int, known_cluster: str | None, start: int, end: int, cluster_id: str
) -> str | None:
    """What speaks against this log, in a sentence; None where nothing does."""
    if known_cluster not in {None, cluster_id}:
        return f"{place} was read from Kafka cluster {known_cluster}, and this is cluster {cluster_id}."
    if next_offset < start:
        return (
            f"{place} goes on at offset {next_offset}, and its log begins at {start}: retention has passed."
        )
    if next_offset > end:
        return f"{place} goes on at offset {next_offset}, and its log ends at {end}: it was made anew."
    return None
