"""The last record applied must still lie where it lay: a log that was cut and written anew goes on under the same name and id."""

from collections.abc import Iterable, Mapping, Sequence

from tillstream.kafka.fence import Position
from tillstream.kafka.identity import refuse
from tillstream.kafka.records import Place, Record

ID_HEADER = "ce_id"
ID_BYTES = 320  # of a foreign producer's id that the fence row keeps


class LastRecords:
    """After a take-over each place is read from the last record applied, which is compared and not applied again.

    A place waits until its first record comes, also over a stop: retention may pass that one record meanwhile, and the
    fetch then fails as for any offset that is gone; the next take-over does not ask for it.
    """

    def __init__(self) -> None:
        self._waiting: dict[Place, Position] = {}

    def __repr__(self) -> str:
        return f"<LastRecords: {len(self._waiting)} to be seen>"

    def expect(self, positions: Mapping[Place, Position], starts: Mapping[Place, int]) -> None:
        """Wait for these, as far as their row knows of a record that may still be there, and for no others."""
        self._waiting = {
            place: at
            for place, at in positions.items()
            if at.last_record_at is not None and at.next_offset > starts[place]
        }

    def forget(self, places: Iterable[Place]) -> None:
        for place in places:
            self._waiting.pop(place, None)

    def steps_back(self, place: Place) -> int:
        """How many offsets before the next one to read from."""
        return 1 if place in self._waiting else 0

    def compare(self, run: Sequence[Record]) -> None:
        """Records of one place, as they came. Raises Misconfigured where another one lies in the place of the last.

        Where the next one comes first, the end of a transaction was the last thing that was passed. Where one after that
        does, something is missing, and the place is sought again.
        """
        at = self._waiting.get(run[0].place)
        if at is None:
            return
        last = at.next_offset - 1
        first = next((record for record in run if record.offset >= last), run[0])
        if first.offset == last and not _is_same(first, at):
            _refuse(first, at)
        if last <= first.offset <= at.next_offset:
            del self._waiting[first.place]


def _is_same(record: Record, at: Position) -> bool:
    record_id = id_of(record)
    ids_differ = record_id != at.last_record_id and None not in {record_id, at.last_record_id}
    return record.timestamp == at.last_record_at and not ids_differ


def _refuse(record: Record, at: Position) -> None:
    assert at.last_record_at is not None, "only those are expected"
    was = _described(at.last_record_id, at.last_record_at.isoformat())
    now = _described(id_of(record), record.timestamp.isoformat())
    sentence = (
        f"{record.place} was read up to offset {record.offset}, where the record was {was}; it is {now}:"
        " the log was written anew from there or before."
    )
    refuse([(f"{record.topic} {record.partition}", sentence)])


def _described(record_id: str | None, appended_at: str) -> str:
    return f"{record_id or 'one without an id'} of {appended_at}"


def id_of(record: Record) -> str | None:
    """The id that a record's sender gave it, as the fence row keeps it."""
    for name, value in record.headers:
        if name == ID_HEADER and value:  # a foreign producer may send a header without a value
            return value[:ID_BYTES].decode(errors="replace").replace("\x00", "")
    return None
