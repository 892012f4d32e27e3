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
    """Raises Misconfigured with one sentence per place whose log cannot be the one that its fence row speaks of.

    `ends` must have been read after `positions`: an offset may move until then.
    """
    problems = [
        sentence
        for place, position in sorted(positions.items())
        if (sentence := _difference(place, position, starts[place], ends[place], cluster_id)) is not None
    ]
    if problems:
        raise Misconfigured(
            f"{' '.join(problems)} Nothing is applied from there until an operator has decided how to go on."
        )


def _difference(place: Place, position: Position, start: int, end: int, cluster_id: str) -> str | None:
    if position.cluster_id not in {None, cluster_id}:
        return f"{place} was read from Kafka cluster {position.cluster_id}, and this is cluster {cluster_id}."
    if position.next_offset < start:
        return f"{place} goes on at offset {position.next_offset}, and its log begins at {start}: retention has passed."
    if position.next_offset > end:
        return (
            f"{place} goes on at offset {position.next_offset}, and its log ends at {end}: it was made anew."
        )
    return None
