"""The fence against a real database, as the worker's role: who owns a partition, and whose batch counts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from psycopg import AsyncConnection

from support.postgres import Database
from tillstream.db.connections import connect
from tillstream.kafka.fence import Fence, Move, Position, Session
from tillstream.kafka.progress import Measure, Progress
from tillstream.kafka.records import LogIdentity, Place
from tillstream.testing.waiting import eventually

pytestmark = pytest.mark.integration

PLACES = [Place("toy", number) for number in range(4)]
STARTS = {place: place.partition * 10 for place in PLACES}
TOPIC_ID = UUID(int=7)
AT = datetime(2024, 1, 20, 10, 30, tzinfo=UTC)

type Open = Callable[[], Awaitable[AsyncConnection]]


@pytest.fixture
async def open_session(database: Database) -> AsyncIterator[Open]:
    opened: list[AsyncConnection] = []

    async def open_one() -> AsyncConnection:
        opened.append(await connect(database.worker_dsn, application_name="fence"))
        return opened[-1]

    yield open_one
    for conn in opened:
        await conn.close()


async def take(
    conn: AsyncConnection, places: list[Place] = PLACES, *, owner: str = "toy"
) -> dict[Place, Position]:
    return await Fence().take_over(
        conn, places, owner=owner, starts=STARTS, cluster_id="cluster", topic_ids={"toy": TOPIC_ID}
    )


async def test_what_was_never_consumed_begins_where_its_log_begins(open_session: Open) -> None:
    positions = await take(await open_session())
    assert {place: position.next_offset for place, position in positions.items()} == STARTS
    assert {position.epoch for position in positions.values()} == {1}
    assert {position.identity for position in positions.values()} == {("cluster", TOPIC_ID)}


async def test_what_was_learnt_at_first_sight_stays(open_session: Open) -> None:
    conn = await open_session()

    async def seen(cluster_id: str, topic_ids: dict[str, UUID]) -> LogIdentity:
        position = await Fence().take_over(
            conn, PLACES[:1], owner="toy", starts=STARTS, cluster_id=cluster_id, topic_ids=topic_ids
        )
        return position[PLACES[0]].identity

    assert await seen("cluster", {}) == ("cluster", None)  # a broker that knows no ids
    assert await seen("cluster", {"toy": TOPIC_ID}) == ("cluster", TOPIC_ID)
    assert await seen("another", {"toy": UUID(int=8)}) == ("cluster", TOPIC_ID)


async def test_a_successor_ends_the_former_session_and_goes_on_from_its_offsets(open_session: Open) -> None:
    former, successor = await open_session(), await open_session()
    before = await take(former)
    moves = {PLACES[1]: Move(before[PLACES[1]].epoch, 10, 15, "id", AT)}
    assert await Fence().advance(former, moves) == {PLACES[1]}
    after = await take(successor)
    with pytest.raises(psycopg.OperationalError):
        await former.execute("SELECT 1")
    assert after[PLACES[1]] == Position(2, 15, "cluster", "id", AT, TOPIC_ID)


async def test_a_session_that_only_shares_the_pid_is_left_alone(
    open_session: Open, database: Database
) -> None:
    bystander, successor = await open_session(), await open_session()
    await take(bystander)
    await superuser(
        database,
        "UPDATE shop.consumer_offsets SET owner_backend_start = owner_backend_start - interval '1 s'",
    )
    await take(successor)
    assert (await (await bystander.execute("SELECT 1")).fetchone()) == (1,)


async def test_its_own_session_survives_a_second_take_over(open_session: Open) -> None:
    conn = await open_session()
    await take(conn)
    assert {position.epoch for position in (await take(conn)).values()} == {2}


async def test_a_released_partition_is_taken_over_in_peace(open_session: Open) -> None:
    former, successor = await open_session(), await open_session()
    epochs = {place: position.epoch for place, position in (await take(former)).items()}
    await Fence().release(former, epochs)
    await take(successor)
    assert (await (await former.execute("SELECT 1")).fetchone()) == (1,)


async def test_a_late_release_takes_nothing_from_the_successor(
    open_session: Open, database: Database
) -> None:
    former, successor = await open_session(), await open_session()
    epochs = {place: position.epoch for place, position in (await take(former)).items()}
    await Fence().release(former, epochs)
    await take(successor, owner="successor")
    await Fence().release(former, epochs)
    assert await superuser(database, "SELECT DISTINCT owner FROM shop.consumer_offsets") == [("successor",)]


async def test_only_the_places_of_the_right_epoch_and_beginning_move(open_session: Open) -> None:
    conn = await open_session()
    epoch = {place: position.epoch for place, position in (await take(conn)).items()}
    moves = {
        PLACES[0]: Move(epoch[PLACES[0]], 0, 7),
        PLACES[1]: Move(epoch[PLACES[1]] - 1, 10, 17),
        PLACES[2]: Move(epoch[PLACES[2]], 19, 27),
    }
    assert await Fence().advance(conn, moves) == {PLACES[0]}
    positions = await Fence().positions(conn, PLACES)
    assert [positions[place].next_offset for place in PLACES] == [7, 10, 20, 30]


async def test_the_last_records_id_and_time_belong_together(open_session: Open) -> None:
    conn = await open_session()
    [place, *_] = PLACES
    epoch = (await take(conn))[place].epoch
    later = AT + timedelta(seconds=1)
    told: list[tuple[str | None, datetime | None]] = []
    for move in (Move(epoch, 0, 1, "id", AT), Move(epoch, 1, 2), Move(epoch, 2, 3, None, later)):
        await Fence().advance(conn, {place: move})
        position = (await Fence().positions(conn, [place]))[place]
        told.append((position.last_record_id, position.last_record_at))
    assert told == [("id", AT), ("id", AT), (None, later)]


async def test_a_former_owner_moves_nothing_even_if_its_session_lives(open_session: Open) -> None:
    former, successor = await open_session(), await open_session()
    before = await take(former)
    await Fence().release(former, {place: position.epoch for place, position in before.items()})
    await take(successor)
    moves = {place: Move(before[place].epoch, STARTS[place], STARTS[place] + 1) for place in PLACES}
    assert await Fence().advance(former, moves) == set()


async def test_a_take_over_waits_for_a_batch_that_is_about_to_commit(open_session: Open) -> None:
    """Without an owner in the row there is nobody to end, so the rows' locks decide."""
    former, successor = await open_session(), await open_session()
    epochs = {place: position.epoch for place, position in (await take(former)).items()}
    async with former.transaction():
        await Fence().advance(former, {PLACES[0]: Move(epochs[PLACES[0]], 0, 5)})
        await Fence().release(former, epochs)
        await former.execute("UPDATE shop.consumer_offsets SET owner_pid = NULL")
        # Uncommitted: the successor still reads an owner, which is not to be ended here.
        taking = asyncio.create_task(take_without_ending(successor))
        await eventually(lambda: is_waiting(former, successor))
    assert (await taking)[PLACES[0]].next_offset == 5


async def test_two_take_overs_at_once_do_not_lock_each_other_out(open_session: Open) -> None:
    one, other = await open_session(), await open_session()
    for _ in range(5):
        taking = (take(one, PLACES[:3]), take(other, PLACES[::-1][:3]))
        results = await asyncio.gather(*taking, return_exceptions=True)
        assert not any(isinstance(result, psycopg.errors.DeadlockDetected) for result in results)
        for conn in (one, other):
            if conn.closed:  # the later of the two ended the earlier one's session
                one, other = await open_session(), await open_session()
    conn = await open_session()
    assert len(await take(conn)) == 4


async def test_ending_a_session_that_is_gone_is_fine(open_session: Open) -> None:
    conn, gone = await open_session(), await open_session()
    session = await Fence().session(gone)
    await Fence().end_sessions(conn, [session])
    await Fence().end_sessions(conn, [session, Session(session.pid, AT)])


async def test_progress_is_written_by_its_owner_only(open_session: Open, database: Database) -> None:
    conn = await open_session()
    epoch = (await take(conn))[PLACES[0]].epoch
    progress = Progress()
    (written,) = (await progress.write(conn, {PLACES[0]: Measure(epoch, 5, 9, AT)}, AT)).values()
    assert not written.is_stopped
    await progress.write(conn, {PLACES[0]: Measure(epoch, 7, 9, None)}, AT)
    await progress.write(conn, {PLACES[0]: Measure(epoch - 1, 1, 1, None)}, AT)
    found = await superuser(
        database, "SELECT next_offset, log_end, last_stored_at FROM shop.partition_progress"
    )
    assert found == [(7, 9, AT)]


async def test_what_is_complete_never_falls(open_session: Open, database: Database) -> None:
    conn = await open_session()
    epoch = (await take(conn))[PLACES[0]].epoch
    progress = Progress()

    async def written(measure: Measure, asked_at: datetime) -> object:
        await progress.write(conn, {PLACES[0]: measure}, asked_at)
        [(complete,)] = await superuser(database, "SELECT complete_through FROM shop.partition_progress")
        return complete

    asked_at = await progress.moment(conn)
    whole = asked_at.replace(microsecond=asked_at.microsecond // 1_000 * 1_000)
    # Of a millisecond under way Kafka may still stamp more records.
    assert await written(Measure(epoch, 0, 1, None), asked_at) is None
    assert await written(Measure(epoch, 4, 9, AT), asked_at) == AT - timedelta(milliseconds=1)
    assert await written(Measure(epoch, 9, 9, AT), asked_at) == whole - timedelta(milliseconds=1)
    later = await progress.moment(conn)
    # A record is in flight, and the one before it was stored long ago.
    assert await written(Measure(epoch, 9, 10, None), later) == whole - timedelta(milliseconds=1)
    assert await written(Measure(epoch, 10, 11, AT), later) == whole - timedelta(milliseconds=1)
    assert await written(Measure(epoch, 11, 11, AT), AT) == whole - timedelta(milliseconds=1)


async def test_how_far_behind_is_told_by_the_clock_of_the_database(open_session: Open) -> None:
    conn = await open_session()
    epoch = (await take(conn))[PLACES[0]].epoch
    progress = Progress()

    async def behind_s(measure: Measure, asked_at: datetime) -> float | None:
        return (await progress.write(conn, {PLACES[0]: measure}, asked_at))[PLACES[0]].behind_s

    now = await progress.moment(conn)
    assert await behind_s(Measure(epoch, 0, 1, None), now) is None
    assert await behind_s(Measure(epoch, 4, 9, now - timedelta(hours=1)), now) == pytest.approx(3_600, abs=5)
    assert await behind_s(Measure(epoch, 9, 9, None), now) == pytest.approx(0, abs=5)
    # A broker whose clock is ahead makes nothing younger than new.
    assert await behind_s(Measure(epoch, 9, 10, now + timedelta(hours=1)), now) == 0
    assert await progress.write(conn, {PLACES[0]: Measure(epoch - 1, 1, 1, None)}, now) == {}


async def test_a_stop_says_why_and_the_first_reason_stays(open_session: Open, database: Database) -> None:
    conn = await open_session()
    epoch = (await take(conn))[PLACES[2]].epoch
    progress = Progress()
    await progress.stop(conn, {PLACES[2]: "first"}, {PLACES[2]: 21})
    await progress.stop(conn, {PLACES[2]: "second"}, {PLACES[2]: 22})
    assert await progress.stopped(conn, PLACES) == {PLACES[2]}
    assert (await progress.write(conn, {PLACES[2]: Measure(epoch, 21, 30, None)}, AT))[PLACES[2]].is_stopped
    assert await superuser(database, "SELECT stop_reason FROM shop.partition_progress") == [("first",)]


class _Peaceful(Fence):
    async def end_sessions(self, conn: AsyncConnection, sessions: object) -> None:
        """Ends nobody."""


async def take_without_ending(conn: AsyncConnection) -> dict[Place, Position]:
    return await _Peaceful().take_over(
        conn, PLACES, owner="successor", starts=STARTS, cluster_id="cluster", topic_ids={}
    )


async def is_waiting(asker: AsyncConnection, waiter: AsyncConnection) -> bool:
    blocked = await asker.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", [waiter.info.backend_pid])
    return (await blocked.fetchone()) == (True,)


async def superuser(database: Database, statement: str) -> list[tuple[object, ...]]:
    async with await AsyncConnection.connect(database.superuser_dsn, autocommit=True) as conn:
        done = await conn.execute(statement.encode())
        return await done.fetchall() if done.description else []
