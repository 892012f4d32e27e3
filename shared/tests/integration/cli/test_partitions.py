"""`tillstream partitions` beside a running loop, on a real broker and a real database."""

import getpass
from collections.abc import Sequence

import psycopg
import pytest
from psycopg import AsyncConnection

from support.kafka import KafkaServer
from support.ports import free_port
from support.postgres import Database
from tillstream.kafka.records import Record
from tillstream.kafka.steps import BatchResult, Steps
from tillstream.testing.waiting import eventually

from ..kafka.stations import PARTITIONS, Station, write  # noqa: TID252 - the tests of Kafka have the toy worker
from .conftest import Tillstream

pytestmark = pytest.mark.integration

WHERE = "SELECT topic, kafka_partition, epoch, next_offset FROM shop.consumer_offsets ORDER BY 1, 2"
PROGRESS = """
INSERT INTO shop.partition_progress
  (topic, kafka_partition, next_offset, log_end, measured_at, stopped_at, stop_reason)
VALUES ('a', 0, 5, 9, now(), NULL, NULL), ('a', 1, 5, 9, now() - interval '1 hour', '2024-06-01Z', 'too many.'),
  ('b', 0, 5, 9, now(), '2024-06-01Z', 'too many.')
"""


@pytest.fixture
async def station(kafka_server: KafkaServer, database: Database, monkeypatch: pytest.MonkeyPatch) -> Station:
    monkeypatch.setenv("TILLSTREAM_KAFKA_BOOTSTRAP", kafka_server.bootstrap)
    station = Station(kafka_server.bootstrap, database)
    await station.open()
    return station


async def strict(conn: AsyncConnection, records: Sequence[Record]) -> BatchResult:
    """Stops partition 5 after its first record."""
    result = await write(conn, records)
    bad = [record.place for record in records if record.partition == 5 and record.offset == 0]
    return BatchResult(stop=dict.fromkeys(bad, "too many rejects")) if bad else result


async def test_a_stopped_partition_is_listed_and_goes_on_once_it_is_resumed(
    station: Station, tillstream: Tillstream
) -> None:
    await station.publish(240)
    async with station.worker(Steps(strict)):
        assert await station.drained() == []
        await station.publish(240)
        await station.ledger.holds(sum(place.partition != 5 for place in station.sent))

        async def stopped() -> list[str]:
            lines = (await tillstream("partitions", "list", "--stopped")).out.splitlines()
            return lines[1:] if len(lines) > 1 and " 0  20" not in lines[1] else []

        [line] = await eventually(stopped)
        assert line.split()[:2] == [station.topic, "5"]
        assert line.endswith("too many rejects")
        assert int(line.split()[4]) == int(line.split()[3]) - int(line.split()[2]) > 0

        said = await tillstream("partitions", "resume", station.topic, "5")
        assert (said.code, said.err) == (0, "")
        assert said.out.startswith(f"{station.topic}[5] goes on; it was stopped since ")
        assert await station.drained() == []
        again = await tillstream("partitions", "resume", station.topic, "5")
        assert (again.code, again.out) == (1, "No such partition is stopped; nothing was changed.\n")
        assert len((await tillstream("partitions", "list")).out.splitlines()) == PARTITIONS + 1


async def test_a_lag_that_nobody_measured_is_not_known(station: Station, tillstream: Tillstream) -> None:
    await station.ledger.execute(PROGRESS)
    lines = (await tillstream("partitions", "list")).out.splitlines()
    assert [line.split()[:5] for line in lines[1:4]] == [
        ["a", "0", "5", "9", "4"],
        ["a", "1", "5", "9", "-"],
        ["b", "0", "5", "9", "4"],
    ]
    assert lines[-1] == "1 lag is not known: no worker measured there within 10 s."
    assert len((await tillstream("partitions", "list", "--topic", "b")).out.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "left"), [(["--all"], []), (["a", "--all"], ["b"]), (["b", "0"], ["a"])]
)
async def test_all_are_resumed_or_those_that_were_named(
    station: Station, tillstream: Tillstream, arguments: list[str], left: list[str]
) -> None:
    await station.ledger.execute(PROGRESS)
    said = await tillstream("partitions", "resume", *arguments)
    assert said.out.count("goes on; it was stopped since 2024-06-01T00:00:00Z: too many.\n") == 2 - len(left)
    marked = await station.ledger.execute(
        "SELECT topic FROM shop.partition_progress WHERE stopped_at IS NOT NULL OR stop_reason IS NOT NULL"
    )
    assert [row[0] for row in marked] == left


async def test_what_a_worker_owns_is_left_alone(station: Station, tillstream: Tillstream) -> None:
    await station.publish(60)
    async with station.worker() as worker:
        assert await station.drained() == []
        before = await station.ledger.execute(WHERE)
        said = await tillstream("partitions", "accept", station.topic, "0", "--from", "earliest", "--yes")
        assert (said.code, said.out) == (1, "")
        assert f"toy owns {station.topic}[0] and is alive: stop it first." in said.err
        assert await station.ledger.execute(WHERE) == before
        assert not worker.task.done()


async def test_nothing_is_accepted_without_a_yes(
    station: Station, tillstream: Tillstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    await station.publish(60)
    async with station.worker():
        assert await station.drained() == []
    before = await station.ledger.execute(WHERE)
    for answer in ("", "n", "what?"):
        monkeypatch.setattr("builtins.input", lambda _, answer=answer: answer)
        said = await tillstream("partitions", "accept", station.topic, "0", "--from", "earliest")
        assert (said.code, said.out.splitlines()[-1]) == (1, "Nothing was changed.")
    fine = await tillstream("partitions", "accept", station.topic, "--from", "earliest", "--yes")
    assert (fine.code, fine.out) == (
        1,
        f"The worker refuses no partition of {station.topic}; nothing was changed.\n",
    )
    assert await station.ledger.execute(WHERE) == before


async def test_what_moved_since_it_was_looked_at_is_left_alone(
    station: Station, tillstream: Tillstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    await station.publish(60)
    async with station.worker():
        assert await station.drained() == []
    with psycopg.connect(station.database.superuser_dsn, autocommit=True) as conn:

        def overtaken(_: str) -> str:
            conn.execute("UPDATE shop.consumer_offsets SET epoch = epoch + 1 WHERE kafka_partition = 0")
            return "y"

        monkeypatch.setattr("builtins.input", overtaken)
        said = await tillstream("partitions", "accept", station.topic, "0", "--from", "earliest")
    assert said.code == 1
    assert "took partitions of" in said.err
    assert 0 not in (await station.ledger.next_offsets(station.topic)).values()


async def test_a_broker_that_is_away_is_one_sentence(
    station: Station, tillstream: Tillstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TILLSTREAM_KAFKA_BOOTSTRAP", f"127.0.0.1:{free_port()}")
    said = await tillstream("partitions", "accept", station.topic, "--from", "earliest")
    assert (said.code, said.out, said.err.count("\n")) == (1, "", 1)


async def test_a_topic_that_is_not_there_is_one_sentence(station: Station, tillstream: Tillstream) -> None:
    said = await tillstream("partitions", "accept", "no-such-topic", "--from", "earliest")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "Kafka has no topic no-such-topic" in said.err


async def test_who_decided_what_is_written_down(station: Station, tillstream: Tillstream) -> None:
    nothing = await tillstream("partitions", "decisions")
    assert nothing.out == "Nobody has decided anything about a partition.\n"
    await station.ledger.execute(PROGRESS)
    await station.publish(60)
    async with station.worker():
        assert await station.drained() == []
    [(at,)] = await station.ledger.execute(
        "SELECT next_offset FROM shop.consumer_offsets WHERE kafka_partition = 0"
    )
    assert at != 0
    await tillstream("partitions", "resume", "a", "1", "--by", "ann")
    await tillstream("partitions", "resume", "b", "--all")
    said = await tillstream(
        "partitions", "accept", station.topic, "0", "--from", "earliest", "--yes", "--by", "bob"
    )
    assert said.code == 0
    head, *lines = (await tillstream("partitions", "decisions")).out.splitlines()
    assert head.split() == ["when", "by", "partition", "decision", "from", "to", "why"]
    assert [line.split()[1:6] for line in lines] == [
        ["bob", f"{station.topic}[0]", "accept", str(at), "0"],
        [getpass.getuser(), "b[0]", "resume", "-", "-"],
        ["ann", "a[1]", "resume", "-", "-"],
    ]
    assert f"reads {at} records again, known ids once" in lines[0]
    assert lines[2].endswith("too many.")
    assert len((await tillstream("partitions", "decisions", "--topic", "b")).out.splitlines()) == 2


async def test_what_was_not_done_is_not_written_down(station: Station, tillstream: Tillstream) -> None:
    await station.publish(60)
    async with station.worker():
        assert await station.drained() == []
        await tillstream("partitions", "accept", station.topic, "0", "--from", "earliest", "--yes")
    await tillstream("partitions", "resume", station.topic, "0")
    for name in ("", "two\nlines"):
        refused = await tillstream("partitions", "resume", "--all", "--by", name)
        assert "--by must be a text" in refused.err
    assert await station.ledger.execute("SELECT count(*) FROM shop.partition_decisions") == [(0,)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE shop.partition_decisions SET decided_by = 'nobody'",
        "DELETE FROM shop.partition_decisions",
        "INSERT INTO shop.partition_decisions (decided_at) SELECT now()",
    ],
)
async def test_the_trail_cannot_be_changed_by_those_who_write_it(database: Database, statement: str) -> None:
    for dsn in (database.operator_dsn, database.worker_dsn):
        with (
            psycopg.connect(dsn, autocommit=True) as conn,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            conn.execute(statement.encode())
