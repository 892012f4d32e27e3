"""One run: the load goes on while one fault after the other is injected and healed; then everything is counted."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

import httpx2
import psycopg
from aiokafka.errors import KafkaError

from faults.aggregates import check_aggregates
from faults.checks import Places, check_all
from faults.customer import Customer, Pace
from faults.drawing import Round
from faults.file_checks import check_files, on_the_way
from faults.files import Partner
from faults.goods import Shop
from faults.holding import pause
from faults.hostile import Vandal
from faults.ledger import Fate, Ledger, account_of, read_files, read_ledger
from faults.memory import check_memory
from faults.model import model_of
from faults.roads import Road
from faults.system import OURS, System
from faults.tables import (
    count_parked,
    count_unsettled_jobs,
    log_ends,
    read_offsets,
    read_tables,
    watch_offsets,
)
from faults.tally import Tally
from faults.verdict import Kind, Verdict, all_of
from tillstream.kafka.records import Place
from tillstream.testing.waiting import eventually

SENDERS = 4
LOAD_LEAD_S = 1.0  # the load of a fault begins before it and lasts a little longer
QUERY_WITHIN_S = 30.0
PACKED_SUFFIX = ".gz"
LAST_DROP_AFTER_S = 0.8  # a second drop comes while its round's faults are at work

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does. It may take so long to recover from a round of faults, and until everything is applied at the end."""

    seed: str
    events: int
    recovers_within_s: float = 120.0
    settles_within_s: float = 120.0


@dataclass(slots=True)
class Result:
    """What a run found."""

    events: int = 0
    acknowledged: int = 0
    hostile: int = 0
    files: int = 0
    sent_files: int = 0
    packed_files: int = 0
    tally: Tally = field(default_factory=Tally)
    recoveries_s: list[tuple[float, str]] = field(default_factory=list)
    memory_mb: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in OURS})
    not_ready: list[str] = field(default_factory=list)  # at the end
    own_ends: dict[str, list[str]] = field(default_factory=dict)
    verdict: Verdict = field(default_factory=Verdict)


class Run:
    """A run on a system that is up."""

    def __init__(self, system: System, plan: Plan, place: Path, say: Say) -> None:
        self._system = system
        self._plan = plan
        self._say = say
        self._ledger = Ledger(place / "ledger.jsonl")
        self._shop = Shop(plan.seed, plan.events)
        self._pace = Pace()
        self._vandal = Vandal(system.bootstrap, self._ledger, plan.seed)
        self._result = Result()
        self._problems: list[str] = []

    async def run(self, rounds: Sequence[Round]) -> Result:
        """Never raises for what the system does wrong: that is in the result."""
        await watch_offsets(self._system.superuser_dsn)
        async with httpx2.AsyncClient(base_url=self._system.ingest_url) as http:
            self._partner = Partner(self._system.places.inbox, http, self._ledger, self._plan.seed)
            customers = [
                Customer(http, self._ledger, self._shop, self._pace, f"{self._plan.seed}/{number}")
                for number in range(SENDERS + 1)
            ]
            await self._vandal.start()
            try:
                await self._under_load(customers, rounds)
            finally:
                await self._vandal.stop()
        for customer in customers:
            self._problems += customer.problems
        self._problems += [*self._vandal.problems, *self._partner.problems]
        self._ledger.close()
        await self._count()
        return self._result

    async def _under_load(self, customers: Sequence[Customer], rounds: Sequence[Round]) -> None:
        stop = asyncio.Event()
        requests = self._shop.requests()
        load = [
            asyncio.create_task(customer.send_all(requests, stop), name=f"sender {number}")
            for number, customer in enumerate(customers[1:])
        ]
        try:
            await self._go_through(customers[0], rounds)
            self._pace.grant(self._plan.events, 1.0)
            await asyncio.gather(*load)
        finally:
            stop.set()
            await asyncio.gather(*load, return_exceptions=True)

    async def _go_through(self, prober: Customer, rounds: Sequence[Round]) -> None:
        portion = self._plan.events // (len(rounds) + 1) + 1
        for number, faults in enumerate([[], *rounds]):
            names = " + ".join(fault.name for fault in faults) or "the start"
            self._pace.grant(
                portion, LOAD_LEAD_S + max((each.takes_s + each.hold_s for each in faults), default=0.0)
            )
            await self._partner.drop()
            await pause(LOAD_LEAD_S / 2)  # so long the load runs undisturbed
            abuse = asyncio.create_task(self._abuse(), name="abuse")
            try:
                await _all(*(self._result.tally.suffer(fault, self._system) for fault in faults))
                recovery_s = await self._caught_up(prober, number)
            except AssertionError as error:
                self._problems.append(f"after {names}: {error}")
                break
            finally:
                await abuse
            if faults:
                self._result.recoveries_s.append((recovery_s, names))
                self._say(f"{number:4} of {len(rounds)}  {names}: recovered in {recovery_s:.1f} s")
            self._measure_memory()

    async def _abuse(self) -> None:
        """What others do meanwhile to the log, to the input folder and to the door for files."""
        await self._vandal.strike()
        await pause(LAST_DROP_AFTER_S)  # into the middle of the faults
        await self._partner.drop()

    async def _caught_up(self, prober: Customer, number: int) -> float:
        """Seconds until a new event is acknowledged, all that is acknowledged by then is applied, and all parts are ready.

        Raises AssertionError where that does not happen by itself."""
        began = monotonic()
        assert await prober.post(self._shop.probe(number), may_give_up=False), "a probe was not acknowledged"
        within_s = self._plan.recovers_within_s
        ends = await eventually(self._trying(lambda: log_ends(self._system.bootstrap)), within_s) or {}

        async def applied() -> bool:
            offsets = await read_offsets(self._system.superuser_dsn)
            return all(offsets.get(place, 0) >= end for place, end in ends.items())

        await eventually(self._trying(applied), within_s)
        try:
            await eventually(lambda: asyncio.to_thread(self._is_ready), within_s)
        except AssertionError:
            problems = await asyncio.to_thread(self._system.problems)
            raise AssertionError(f"not ready after {within_s:g} s: {'; '.join(problems)}") from None
        return monotonic() - began

    def _trying[T](self, question: Callable[[], Awaitable[T]]) -> Callable[[], Awaitable[T | None]]:
        """The question, answered with None while a server is away."""

        async def ask() -> T | None:
            try:
                return await question()
            except (psycopg.OperationalError, KafkaError, OSError):
                return None

        return ask

    def _is_ready(self) -> bool:
        return not self._system.problems()

    def _measure_memory(self) -> None:
        for name, looks in self._result.memory_mb.items():
            if (memory_mb := self._system.memory_mb(name)) is not None:
                looks.append(memory_mb)

    async def _count(self) -> None:
        account = account_of(await asyncio.to_thread(read_ledger, self._ledger.path))
        waiting = sum(item.fate is Fate.PARKED for item in account.sent)
        ends = await self._settled(waiting)
        tables = await read_tables(self._system.superuser_dsn)
        model = model_of(account, Places(tables).stored)
        verdict = self._result.verdict = check_all(account, model, tables, ends)
        async with httpx2.AsyncClient(base_url=self._system.query_url, timeout=QUERY_WITHIN_S) as http:
            found = await check_aggregates(http, model, Random(self._plan.seed))
        verdict.problems["C4"] = all_of(Kind.AGGREGATE, found)
        deadlocks = await asyncio.to_thread(self._system.deadlocks)
        verdict.problems["C5"] = all_of(Kind.DEADLOCK, deadlocks)
        filed = await asyncio.to_thread(read_files, self._ledger.path)
        verdict.problems["C6"] = check_files(filed, tables.jobs, self._system.places.data)
        self._measure_memory()
        verdict.problems["C7"] = all_of(Kind.MEMORY, check_memory(self._result.memory_mb))
        verdict.problems["the faults"] = all_of(Kind.NOT_MADE, self._result.tally.not_made)
        verdict.problems["the system as its clients see it"] = all_of(Kind.ANSWER, self._problems)
        await self._look_at_the_end()
        self._result.events = sum(item.entity == "event" for item in account.sent)
        self._result.acknowledged = len(account.acknowledged)
        self._result.hostile = sum(item.fate is Fate.QUARANTINE for item in account.acknowledged)
        self._result.files = len(filed)
        self._result.sent_files = sum(each.road == Road.SENT for each in filed)
        self._result.packed_files = sum(each.name.endswith(PACKED_SUFFIX) for each in filed)

    async def _look_at_the_end(self) -> None:
        """Who is not ready, and who ended though nobody had ended it."""
        with suppress(AssertionError):
            await eventually(lambda: asyncio.to_thread(self._is_ready))
        self._result.not_ready = await asyncio.to_thread(self._system.problems)
        self._result.own_ends = {name: self._system.own_ends(name) for name in OURS}

    async def _settled(self, waiting: int) -> dict[Place, int]:
        """The logs' ends, once nothing is on its way any more; or after the time for that."""
        ends: dict[Place, int] = {}
        left = "nobody answered"

        async def settled() -> bool:
            nonlocal ends, left
            ends = await log_ends(self._system.bootstrap)
            left = await self._on_its_way(ends, waiting)
            return not left

        try:
            await eventually(self._trying(settled), self._plan.settles_within_s)
        except AssertionError:
            self._say(f"Not everything was applied in time: {left}. The checks say what.")
        return ends or await log_ends(self._system.bootstrap)

    async def _on_its_way(self, ends: Mapping[Place, int], waiting: int) -> str:
        """What is not where it stays; `waiting` items wait for ever for a parent."""
        dsn = self._system.superuser_dsn
        offsets = await read_offsets(dsn)
        behind = [f"{place}" for place, end in ends.items() if offsets.get(place, 0) != end]
        more = await count_parked(dsn) - waiting
        jobs = await count_unsettled_jobs(dsn)
        files = await asyncio.to_thread(on_the_way, self._system.places.data)
        found = {
            f"partitions {', '.join(behind)} are behind": bool(behind),
            f"{more} more items wait for a parent than should": more > 0,
            f"{jobs} file jobs are not over": jobs > 0,
            f"{len(files)} files lie in input/ or work/": bool(files),
        }
        return "; ".join(sentence for sentence, is_so in found.items() if is_so)


async def _all(*work: Coroutine[Any, Any, None]) -> None:
    """Everything to its end, so that nothing stays unhealed behind what fails; then raises what failed first."""
    for result in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
