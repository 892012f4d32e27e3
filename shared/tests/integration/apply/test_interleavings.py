"""Two workers on one log: delivered, delivered again, reordered, crashed, stopped half-way and taken over, in any interleaving,
it ends in the same tables as if each change had come once and in order."""

import asyncio
from typing import override

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from psycopg import AsyncConnection

from support.postgres import Database
from tillstream.apply.engine import Engine
from tillstream.contracts.entities import Entity
from tillstream.db.connections import connect
from tillstream.kafka.records import Place

from .conftest import empty_tables
from .fenced_workers import PLACES, Batch, FencedWorker, Log
from .reading import read_world, rows, sweep_until_quiet
from .worlds import CONTENTS, expected, make

pytestmark = [pytest.mark.integration, pytest.mark.fault]

WORKERS = st.integers(0, 1)
SIZES = st.integers(1, 4)
DRAWN = st.sampled_from(list(Entity)).flatmap(lambda entity: st.tuples(st.just(entity), CONTENTS[entity]))
PUBLISHED = st.tuples(st.sampled_from(PLACES), DRAWN, st.integers(0, 3), st.integers(0, 1))
INTERLEAVED = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
OTHER_TABLES = "the tables are not what the log adds up to"
OFFSETS = "SELECT kafka_partition, next_offset FROM shop.consumer_offsets WHERE topic = 'interleaved'"

type Drawn = tuple[Entity, dict[str, object]]


class Interleavings(RuleBasedStateMachine):
    """The rules are what may happen; the end is what must be."""

    def __init__(self, runner: asyncio.Runner, database: Database, worker: type[FencedWorker]) -> None:
        super().__init__()
        self._run = runner.run
        self._database = database
        self._log = Log()
        self._workers = [worker(f"worker-{number}", database, self._log) for number in range(2)]
        self._published = 0

    @initialize(published=st.lists(PUBLISHED, min_size=1, max_size=4))
    def begin(self, published: list[tuple[Place, Drawn, int, int]]) -> None:
        """With a little in the log and a worker that owns it: few drawn steps get as far by themselves."""
        self._run(empty_tables(self._database))
        for each in published:
            self._publish(*each)
        self._run(self._workers[0].take_over(PLACES))

    @rule(published=PUBLISHED)
    def publish(self, published: tuple[Place, Drawn, int, int]) -> None:
        self._publish(*published)

    def _publish(self, place: Place, drawn: Drawn, at: int, position: int) -> None:
        self._published += 1
        entity, content = drawn
        message = make(entity, content, number=self._published, at=at, position=position)
        self._log.records[place].append(message)

    @rule(place=st.sampled_from(PLACES), data=st.data())
    def publish_again(self, place: Place, data: st.DataObject) -> None:
        """A door that never heard the broker's answer sent it twice, maybe to a log that deals keys out anew."""
        if self._log.messages:
            self._log.records[place].append(data.draw(st.sampled_from(self._log.messages)))

    @rule(number=WORKERS, places=st.sampled_from([PLACES[:1], PLACES[1:], PLACES]))
    def take_over(self, number: int, places: tuple[Place, ...]) -> None:
        self._run(self._workers[number].take_over(places))

    @rule(number=WORKERS, size=SIZES, data=st.data())
    def deliver(self, number: int, size: int, data: st.DataObject) -> None:
        """In any order within the batch."""
        if self._begin(number, size, data):
            self._run(self._workers[number].finish())

    @rule(number=WORKERS, size=SIZES, data=st.data())
    def stop_halfway(self, number: int, size: int, data: st.DataObject) -> None:
        self._begin(number, size, data)

    @rule(number=WORKERS)
    def go_on(self, number: int) -> None:
        self._run(self._workers[number].finish())

    @rule(number=WORKERS)
    def crash(self, number: int) -> None:
        self._run(self._workers[number].crash())

    @rule(number=WORKERS)
    def sweep(self, number: int) -> None:
        if not self._workers[1 - number].is_halfway:
            self._run(self._workers[number].sweep())

    def teardown(self) -> None:
        self._run(self._finish())

    def _begin(self, number: int, size: int, data: st.DataObject) -> bool:
        """Not while the other one stands half-way: it would hold locks, and this one wait for them without an end."""
        worker = self._workers[number]
        if self._workers[1 - number].is_halfway:
            return False
        batch = worker.next_batch(size)
        batch.messages = list(data.draw(st.permutations(batch.messages)))
        return self._run(worker.begin(batch))

    async def _finish(self) -> None:
        """A last worker takes everything over, whatever the others were doing, and comes to the end of the log."""
        last = FencedWorker("last", self._database, self._log)
        await last.take_over(PLACES)
        while await last.begin(last.next_batch(4)):
            await last.finish()
        await last.crash()
        for worker in self._workers:
            await worker.crash()
        async with await connect(self._database.worker_dsn, application_name="reader") as conn:
            await self._compare(conn)

    async def _compare(self, conn: AsyncConnection) -> None:
        await sweep_until_quiet(conn, Engine())
        assert await read_world(conn) == expected(self._log.messages), OTHER_TABLES
        offsets = dict(await rows(conn, OFFSETS))
        assert offsets == {place.partition: end for place, end in self._log.ends.items()}


def run_machine(database: Database, worker: type[FencedWorker], how: settings) -> None:
    with asyncio.Runner() as runner:

        class Machine(Interleavings):
            def __init__(self) -> None:
                super().__init__(runner, database, worker)

        run_state_machine_as_test(Machine, settings=how)


def test_any_interleaving_ends_in_the_same_tables(database: Database) -> None:
    run_machine(database, FencedWorker, INTERLEAVED)


class OffsetsFirst(FencedWorker):
    """A planted bug: its offsets are committed before its batch is."""

    @override
    async def begin(self, batch: Batch) -> bool:
        if self._conn is not None and not self.is_halfway:
            try:
                for place in await self._fence.advance(self._conn, batch.moves):
                    self._held[place] = self._held[place]._replace(next_offset=batch.moves[place].next)
            except psycopg.OperationalError:
                await self.crash()
        return await super().begin(Batch(batch.messages, {}))


def test_a_worker_that_moves_its_offsets_first_is_found_out(database: Database) -> None:
    first_one = settings(
        INTERLEAVED, phases=[Phase.generate], max_examples=200, report_multiple_bugs=False
    )  # as it was raised, in no group
    with pytest.raises(AssertionError, match=OTHER_TABLES):
        run_machine(database, OffsetsFirst, first_one)
