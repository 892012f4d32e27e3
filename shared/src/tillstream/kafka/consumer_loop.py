"""The fenced consumer loop: records from Kafka, each taking effect once in PostgreSQL.

Kafka's group only says who should work on what. Where to go on, and whether a batch counts, is decided by the fence rows
in PostgreSQL, which move in the batch's own transaction. Whatever fails, the loop forgets what it holds, waits, takes its
partitions over again and goes on from their rows.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

import structlog
from psycopg import AsyncConnection

from tillstream.clock import Clock
from tillstream.contracts.parts import joined, parts_of
from tillstream.db.failures import translated
from tillstream.errors import (
    BrokerUnavailable,
    DatabaseUnavailable,
    OwnershipLost,
    Retryable,
    Stalled,
    TransactionConflict,
    TransactionTimedOut,
)
from tillstream.kafka.batch_size import BatchSize
from tillstream.kafka.batches import Committed, Doubt, Fenced, Unknown, run_batch
from tillstream.kafka.fence import Fence, Move
from tillstream.kafka.holdings import Holdings
from tillstream.kafka.identity import IdentityWatch
from tillstream.kafka.link import Connect, Link
from tillstream.kafka.policy import LoopPolicy
from tillstream.kafka.ports import Consumer, Each
from tillstream.kafka.progress import Progress
from tillstream.kafka.read_ahead import Fetched, ReadAhead
from tillstream.kafka.rebalance import Rebalance
from tillstream.kafka.records import Place, Record
from tillstream.kafka.stall import StallWatch
from tillstream.kafka.steps import BatchResult, Steps
from tillstream.kafka.told_offsets import ToldOffsets
from tillstream.kafka.waiting import KAFKA, POSTGRES, Outages
from tillstream.kafka.watch import Lag, LoopWatch

_log = structlog.get_logger()


class ConsumerLoop:
    """Consumes some topics until told to stop. One loop has one consumer and one connection, and uses them one after the
    other; everything that it writes goes through that connection, so that a successor can end it."""

    def __init__(
        self,
        consumer: Consumer,
        connect: Connect,
        steps: Steps,
        *,
        topics: Sequence[str],
        owner: str,
        clock: Clock,
        watch: LoopWatch | None = None,
        policy: LoopPolicy | None = None,
    ) -> None:
        policy = policy or LoopPolicy()
        self._consumer = consumer
        self._steps = steps
        self._topics = tuple(topics)
        self._owner = owner
        self._clock = clock
        self._watch = watch or LoopWatch()
        self._policy = policy
        self._fence = Fence()
        self._link = Link(connect, self._fence)
        self._progress = Progress()
        self._holdings = Holdings()
        self._batch_size = BatchSize(policy.batch_records)
        self._ahead = ReadAhead(self._fetch, steps.read, lambda: self._link.waiting_s)
        self._rebalance = Rebalance(policy.rebalance_patience_s)
        self._outages = Outages(policy.backoff, self._watch, clock)
        self._stall = StallWatch(clock, lagging_s=policy.lagging_s, turn_s=policy.turn_s)
        self._joined = False
        self._identity = IdentityWatch(consumer, self._topics)
        self._told = ToldOffsets(consumer, self._watch)
        self._taken_generation = 0
        self._next_measure_at = clock.monotonic()
        self._retake_at = 0.0

    def __repr__(self) -> str:
        return f"<ConsumerLoop {self._owner}: {self._holdings}, {self._rebalance}>"

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop` is set, then finish the batch, or roll it back after `drain_s`, and leave the group.

        Waits for PostgreSQL and Kafka without a limit. Raises Stalled, Misconfigured, or a bug: the process must end.
        """
        cycle = asyncio.create_task(self._cycle(stop), name="consume")
        guard = asyncio.create_task(self._stall.guard(), name="stall watch")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            await asyncio.wait({cycle, guard, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not cycle.done() and not guard.done():
                await asyncio.wait({cycle}, timeout=self._policy.drain_s)
            if guard.done():
                guard.result()
            if cycle.done():
                cycle.result()
        finally:
            for task in (cycle, guard, stopping):
                task.cancel()
            await asyncio.gather(cycle, guard, stopping, return_exceptions=True)
            await self._close()

    async def _cycle(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._stall.turned()
            self._watch.turned()
            try:
                await self._turn()
            except OwnershipLost as error:  # a rebalance came in between; the next turn has its outcome
                _log.info("Partitions are changing hands.", problem=str(error))
                self._watch.retried(error)
                await self._wait(self._policy.conflict_wait_s, stop)
            except Retryable as error:
                if self._joined and isinstance(error, BrokerUnavailable):
                    await self._stall.unanswered(self._consumer.ask_anew)
                await self._wait(self._outages.failed(error), stop)
        await self._finish()

    async def _turn(self) -> None:
        """One round: whatever changed, then one batch. Raises Retryable with nothing held and nothing half done."""
        try:
            if not self._joined:
                await self._join()
            if self._rebalance.revoking:
                await self._lay_down()
            elif self._must_take_over():
                await self._take_over()
            await self._apply(await self._next_batch())
            if self._clock.monotonic() >= self._next_measure_at:
                await self._check_membership()
                await (self._measure() if self._holdings else self._ask_kafka())
        except Retryable:
            await self._forget()
            raise

    async def _join(self) -> None:
        await self._consumer.start(self._topics, self._rebalance)
        self._joined = True
        self._outages.reached(KAFKA)

    async def _check_membership(self) -> None:
        """Raises Stalled for a member that its group has forgotten, BrokerUnavailable where there is nobody to be one of."""
        if self._stall.lost_its_group(is_settled=self._rebalance.is_settled):
            await self._consumer.cluster_id()
            raise Stalled("Kafka answers, but its group does not say what this member is to work on.")

    async def _aside(self, work: Callable[[AsyncConnection], Awaitable[None]]) -> None:
        """Work beside the batches. Where another transaction was in its way, the next second does it."""
        try:
            with translated():
                await work(self._link.conn)
        except TransactionConflict as error:
            self._watch.retried(error)

    # Owning

    def _must_take_over(self) -> bool:
        # Kafka still means us to have what another took: by now it was a latecomer, or there is nobody.
        missed = bool(self._holdings.lost) and self._clock.monotonic() > self._retake_at
        return not self._link.is_open or missed or self._taken_generation != self._rebalance.generation

    async def _take_over(self) -> None:
        """Own what the group assigned, and go on from the rows in PostgreSQL."""
        await self._ahead.drop()
        conn = await self._link.connection()
        generation, places = self._rebalance.generation, self._consumer.assigned()  # of one moment
        self._holdings.clear()
        if places:
            seen = await self._identity.look(places)
            with translated():
                positions = await self._fence.take_over(conn, places, owner=self._owner, **seen._asdict())
                stopped = await self._progress.stopped(conn, places)
            await self._identity.check(positions, seen)
            self._outages.reached(KAFKA)
            self._holdings.take(positions, seen.starts)
            self._holdings.set_stopped(stopped)
            self._seek(self._holdings.running)
            _log.info("Took partitions over.", partitions=len(places), stopped=len(stopped))
        else:  # a member in reserve measures nothing that would say so
            self._outages.reached(POSTGRES)
        self._watch.taken_over(places)
        self._taken_generation = generation
        self._stall.excuse()
        self._next_measure_at = self._clock.monotonic()

    def _seek(self, places: set[Place]) -> None:
        """Go on with these where their rows say."""
        for place in sorted(places):
            self._consumer.seek(place, self._holdings.seek_offset(place))
        self._consumer.resume(places)

    async def _read_again(self, places: set[Place]) -> None:
        """Go back with these; and with all, where the consumer stands behind something that is forgotten by this."""
        self._seek(self._holdings.running if await self._ahead.drop() else places)

    async def _lay_down(self) -> None:
        """Answer a rebalance: give everything up, so that whoever comes next need not end this connection."""
        try:
            await self._link.release(self._holdings.epochs)
        finally:
            self._watch.given_up(self._holdings.epochs.keys())
            self._holdings.clear()
            self._rebalance.laid_down()

    async def _forget(self) -> None:
        """Hold nothing, so that the next turn takes everything over again. The broker may be another one by then."""
        self._identity.forget()
        await self._ahead.drop()
        self._consumer.pause(self._holdings.next_offsets.keys())
        self._holdings.clear()
        await self._link.drop()

    # Applying

    async def _fetch(self, each: Each) -> Sequence[Record]:
        return await self._consumer.fetch(
            max_records=self._batch_size.records,
            max_bytes=self._policy.batch_bytes,
            wait_s=self._policy.fetch_wait_s,
            each=each,
        )

    async def _next_batch(self) -> Fetched:
        """The records that come next. Where there are some, there may be more: those are read while these are applied."""
        fetched = await self._ahead.next()
        records, again = self._holdings.expected(fetched.records)
        if again:
            _log.warning(
                "Records are missing in a fetch; it is done again.",
                partitions=[str(place) for place in again],
            )
            self._seek(again)
        if records:
            self._ahead.begin()
        if len(records) == len(fetched.records):
            return fetched
        return Fetched(records, joined([self._steps.read(part) for part in parts_of(records)]))

    async def _apply(self, batch: Fetched) -> None:
        """One batch, again if another transaction was in its way. Raises Retryable once that is no use."""
        records = batch.records
        if not records:
            return
        moves = self._holdings.moves(records)
        began = self._clock.monotonic()
        for attempts_left in reversed(range(self._policy.conflict_attempts)):
            try:
                with self._ahead.applying():
                    outcome = await run_batch(
                        self._link.conn, self._steps, self._progress, batch.items, moves
                    )
                break
            except TransactionConflict as error:
                if not attempts_left:
                    raise
                self._watch.retried(error)
                await asyncio.sleep(self._policy.conflict_wait_s)
            except TransactionTimedOut:
                self._batch_size.timed_out(len(records))
                raise
        match outcome:
            case Committed(result):
                await self._count(result, len(records), moves, self._clock.monotonic() - began)
            case Fenced(lost):
                await self._lose(lost, set(moves))
            case Unknown(result, problem):
                self._link.doubt(Doubt(moves, result))
                raise DatabaseUnavailable(f"The outcome of a commit is unknown: {problem}")

    async def _lose(self, lost: frozenset[Place], batch: set[Place]) -> None:
        _log.warning("Partitions belong to another owner now.", lost=sorted(str(place) for place in lost))
        self._watch.fenced(lost)
        self._watch.given_up(lost)
        self._consumer.pause(lost)
        self._holdings.lose(lost)
        await self._read_again(batch - lost)
        self._retake_at = self._clock.monotonic() + self._policy.retake_s

    async def _count(
        self, result: BatchResult, records: int, moves: dict[Place, Move], seconds: float
    ) -> None:
        self._holdings.moved(moves)
        self._outages.succeeded()
        self._batch_size.committed()
        self._watch.committed(records, seconds)
        if result.stop:
            await self._halt(self._holdings.stopped | result.stop.keys())
        await self._aside(result.committed)

    async def _measure(self) -> None:
        """About once a second: idle work, progress for readers, offsets for lag tools, and whether anything moves."""
        if not self._holdings:
            return
        await self._aside(self._steps.idle)
        with translated():  # before Kafka is asked: a later moment would cover what its answer does not
            asked_at = await self._progress.moment(self._link.conn)
        ends = await self._ask_kafka()
        if ends is None:
            return
        await self._write_progress(ends, asked_at)
        await self._told.tell(self._holdings.next_offsets)
        self._stall.measured(self._holdings.standing(ends))

    async def _ask_kafka(self) -> dict[Place, int] | None:
        """Where the logs end, or None where Kafka does not say. Also asked by who holds nothing: so does everybody once a
        topic is gone, which is no reason to neglect the others. Raises Misconfigured for one that was made anew."""
        self._next_measure_at = self._clock.monotonic() + self._policy.measure_every_s
        gone = await self._identity.compare()
        try:
            ends = await self._consumer.log_ends(self._holdings.next_offsets.keys())
            await self._pass_over(await self._consumer.passed_over())
        except BrokerUnavailable as error:  # what was fetched can be applied all the same
            self._next_measure_at += self._outages.failed(error)
            await self._stall.unanswered(self._consumer.ask_anew)
            return None
        if gone is None:
            self._outages.reached(KAFKA)
        else:
            self._outages.failed(gone)
        return ends

    async def _pass_over(self, passed: Mapping[Place, tuple[int, int]]) -> None:
        """Move the fence beyond what is no record: at the end of a log it would look like one that is never applied."""
        if moves := self._holdings.moves_over(passed):
            with translated():
                moved = await self._steps.advance(self._link.conn, moves)
            self._holdings.moved({place: moves[place] for place in moved})

    async def _write_progress(self, ends: dict[Place, int], asked_at: datetime) -> None:
        measures = self._holdings.measures(ends)
        with translated():
            written = await self._progress.write(self._link.conn, measures, asked_at)
        self._outages.reached(POSTGRES)
        await self._halt({place for place, each in written.items() if each.is_stopped})
        self._watch.measured(
            {place: Lag(measures[place].lag, each.behind_s) for place, each in written.items()},
            self._holdings.stopped,
        )

    async def _halt(self, stopped: set[Place]) -> None:
        """Stop and resume places as `partition_progress` has it."""
        newly, resumed = self._holdings.set_stopped(stopped)
        if newly:
            self._consumer.pause(newly)
            _log.error("Partitions are stopped.", partitions=sorted(str(place) for place in newly))
        if resumed:
            await self._read_again(resumed)
            _log.info("Partitions go on.", partitions=sorted(str(place) for place in resumed))

    # Waiting and ending

    async def _wait(self, seconds: float, stop: asyncio.Event) -> None:
        """Nothing is held meanwhile, so a rebalance need not wait for this loop."""
        self._rebalance.parked = True
        self._rebalance.laid_down()
        try:
            async with asyncio.timeout(seconds):
                await stop.wait()
        except TimeoutError:
            return
        finally:
            self._rebalance.parked = False
            self._stall.excuse()

    async def _finish(self) -> None:
        """Leave everything as a successor wants it. What fails here, the successor can do without."""
        try:
            await self._measure()
            await self._link.release(self._holdings.epochs)
        except Retryable as error:
            _log.warning("Left without saying where; the successor finds out by itself.", problem=str(error))

    async def _close(self) -> None:
        self._rebalance.parked = True
        self._rebalance.laid_down()
        await self._ahead.drop()
        if self._joined:
            await self._consumer.stop(self._policy.leave_s)
        await self._link.drop()
