"""The kinds of fault. Each is injected, holds for a while, and is healed as far as it does not heal by itself."""

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psycopg

from faults.holding import Again, pause
from faults.roots.consumer import SESSION_S
from faults.roots.crashes import STOP, Step
from faults.system import SECOND_WORKER, System
from faults.wire import Manner, Wire
from tillstream.testing.waiting import eventually
from tillstream_native.places import ETL_WORKER, FILE_LOADER

NOTICED_WITHIN_S = 60.0
STOP_WITHIN_S = 60.0
REACHED_WITHIN_S = 60.0
KILL_EVERY_S = 0.02
JOINS = 3
STAYS_S = 0.5
MOST_CONNECTIONS = 100
OWNED = "SELECT count(*) FROM shop.consumer_offsets WHERE owner LIKE %s"
WORKERS_BACK_ENDS = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE application_name IN ('etl-worker', 'file-loader') AND (NOT %(busy)s OR xact_start IS NOT NULL)
"""


class NotMade(AssertionError):
    """A fault did not happen, so that nothing is proved by what comes after it."""


class Fault(Protocol):
    """`name` is what the report calls it. `inject` takes about `takes_s`, and `hold_s` pass between it and `heal`.

    `inject` raises AssertionError where the fault cannot be made, `heal` NotMade where it turns out to have touched nothing.
    `heal` comes after either, and leaves nothing behind.
    """

    @property
    def name(self) -> str: ...
    @property
    def takes_s(self) -> float: ...
    @property
    def hold_s(self) -> float: ...

    async def inject(self, system: System) -> None: ...
    async def heal(self, system: System) -> None: ...


@dataclass(slots=True)
class Ended:
    """A part's process is sent a signal that ends it; the supervisor starts another one."""

    name: str
    part: str
    number: signal.Signals
    hold_s: float = 0.5
    takes_s: float = 2.0

    async def inject(self, system: System) -> None:
        pid = await system.send(self.part, self.number)
        await eventually(lambda: system.pid(self.part) != pid, STOP_WITHIN_S)

    async def heal(self, system: System) -> None:
        await system.running(self.part)


@dataclass(slots=True)
class Stopped:
    """A part's process stands still for a while and then goes on as if nothing had been."""

    name: str
    part: str
    hold_s: float
    takes_s: float = 0.0
    _pid: int | None = None

    async def inject(self, system: System) -> None:
        self._pid = await system.send(self.part, signal.SIGSTOP)

    async def heal(self, system: System) -> None:
        _go_on(self._pid)


def _go_on(pid: int | None) -> None:
    """A process that stood still goes on, if it is still there."""
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@dataclass(slots=True)
class Crashed:
    """A part ends at one step of what it writes in one transaction."""

    name: str
    part: str
    step: Step
    hold_s: float = 0.2
    takes_s: float = 2.0

    async def inject(self, system: System) -> None:
        await _reached(system.crash_file(self.part), self.step)

    async def heal(self, system: System) -> None:
        await system.running(self.part)


def worker_crash(step: Step) -> Crashed:
    """In a batch."""
    return Crashed(f"worker crash {step}", ETL_WORKER, step)


def loader_crash(step: Step) -> Crashed:
    """In a chunk of a file."""
    return Crashed("loader crash in a chunk", FILE_LOADER, step)


@dataclass(slots=True)
class Overtaken:
    """A worker stands still at one step of a batch, another one takes its partitions over, and then it goes on."""

    name: str = "worker SIGSTOP in a batch, overtaken"
    step: Step = Step.BEFORE_WRITE
    hold_s: float = 2.0
    takes_s: float = SESSION_S + 3
    _pid: int | None = None

    async def inject(self, system: System) -> None:
        await _reached(system.crash_file(ETL_WORKER), STOP + self.step)
        self._pid = system.pid(ETL_WORKER)
        assert self._pid is not None, "the worker that should stand still is gone"
        await asyncio.to_thread(system.supervisor.start, [SECOND_WORKER])
        await eventually(lambda: _owns(system, self._pid, some=False), NOTICED_WITHIN_S)

    async def heal(self, system: System) -> None:
        _go_on(self._pid)
        try:
            await eventually(lambda: self._is_back(system), NOTICED_WITHIN_S)
        finally:
            await asyncio.to_thread(system.supervisor.stop, [SECOND_WORKER], STOP_WITHIN_S)

    async def _is_back(self, system: System) -> bool:
        """Whether the one that stood still is done with its batch and owns partitions again, or another process has its place."""
        if self._pid is None or system.pid(ETL_WORKER) != self._pid:
            return True
        return await _owns(system, self._pid, some=True)


async def _reached(file: Path, step: str) -> None:
    """Ask for a step, and wait until a process has come there; one that nobody reaches is asked for no longer."""
    await asyncio.to_thread(file.write_text, step)
    try:
        await eventually(lambda: not file.exists(), REACHED_WITHIN_S)
    except AssertionError:
        await asyncio.to_thread(file.unlink, missing_ok=True)
        raise NotMade(f"no batch came to the step within {REACHED_WITHIN_S:g} s") from None


async def _owns(system: System, pid: int | None, *, some: bool) -> bool:
    """Whether a worker owns partitions by now, or has none left; false also while the database is away."""
    try:
        async with await psycopg.AsyncConnection.connect(system.superuser_dsn) as conn:
            found = await (await conn.execute(OWNED, [f"%:{pid}"])).fetchone()
    except psycopg.OperationalError:
        return False
    return found is not None and (found[0] > 0) is some


@dataclass(slots=True)
class Rejoining:
    """A second worker joins, gets partitions and leaves, again and again."""

    name: str = "two workers joining and leaving"
    hold_s: float = 0.0
    takes_s: float = JOINS * 4.0

    async def inject(self, system: System) -> None:
        for _ in range(JOINS):
            await asyncio.to_thread(system.supervisor.start, [SECOND_WORKER])
            await eventually(lambda: _owns(system, system.pid(SECOND_WORKER), some=True), REACHED_WITHIN_S)
            await pause(STAYS_S)  # how long it stays
            await asyncio.to_thread(system.supervisor.stop, [SECOND_WORKER], STOP_WITHIN_S)

    async def heal(self, system: System) -> None:
        """It is gone already, but where the fault could not be made."""
        await asyncio.to_thread(system.supervisor.stop, [SECOND_WORKER], STOP_WITHIN_S)


@dataclass(slots=True)
class BackEndsKilled:
    """The sessions of worker and loader are ended again and again, best in the middle of a transaction."""

    name: str = "back ends killed"
    hold_s: float = 1.5
    takes_s: float = 0.0
    _again: Again = field(default_factory=Again)
    _killed: int = 0

    async def inject(self, system: System) -> None:
        self._again.begin(self._kill(system), self.name)

    async def _kill(self, system: System) -> None:
        async with await psycopg.AsyncConnection.connect(system.superuser_dsn, autocommit=True) as conn:
            while not await self._again.enough(KILL_EVERY_S):
                self._killed += await _killed(conn, busy=True)
            self._killed += await _killed(conn, busy=False)

    async def heal(self, system: System) -> None:
        await self._again.end()
        if not self._killed:
            raise NotMade("there was no session to end")


async def _killed(conn: psycopg.AsyncConnection, *, busy: bool) -> int:
    """End the sessions of worker and loader; how many there were."""
    found = await (await conn.execute(WORKERS_BACK_ENDS, {"busy": busy})).fetchone()
    return int(found[0]) if found else 0


@dataclass(slots=True)
class TableLocked:
    """Somebody holds an exclusive lock on a table that every batch writes."""

    name: str = "a locked table"
    hold_s: float = 3.0
    takes_s: float = 0.0
    _conn: psycopg.AsyncConnection | None = None

    async def inject(self, system: System) -> None:
        self._conn = await psycopg.AsyncConnection.connect(system.superuser_dsn)
        await self._conn.execute("LOCK TABLE shop.events IN ACCESS EXCLUSIVE MODE")

    async def heal(self, system: System) -> None:
        if self._conn is not None:
            await self._conn.close()


@dataclass(slots=True)
class ConnectionsTaken:
    """Others hold every connection that PostgreSQL gives to people who are not its superusers; the worker loses its own."""

    name: str = "all connections taken"
    hold_s: float = 2.0
    takes_s: float = 0.0
    _taken: list[psycopg.AsyncConnection] = field(default_factory=list)

    async def inject(self, system: System) -> None:
        await self._take(system)
        async with await psycopg.AsyncConnection.connect(system.superuser_dsn, autocommit=True) as conn:
            await _killed(conn, busy=False)
            await self._take(system)

    async def _take(self, system: System) -> None:
        for _ in range(MOST_CONNECTIONS):
            try:
                self._taken.append(await psycopg.AsyncConnection.connect(system.reader_dsn))
            except psycopg.OperationalError:
                return
        raise AssertionError(f"PostgreSQL has more than {MOST_CONNECTIONS} connections")

    async def heal(self, system: System) -> None:
        for conn in self._taken:
            await conn.close()
        self._taken.clear()


@dataclass(slots=True)
class BadWire:
    """A connection behaves badly in one manner; both of its ends run on."""

    wire: Wire
    manner: Manner
    hold_s: float = 3.0
    takes_s: float = 0.0
    _spoiled: int = 0

    @property
    def name(self) -> str:
        return f"wire {self.manner}"

    async def inject(self, system: System) -> None:
        self._spoiled = self.wire.spoiled
        self.wire.set(self.manner)

    async def heal(self, system: System) -> None:
        self.wire.set(Manner.CLEAR)
        if self.wire.spoiled == self._spoiled:
            raise NotMade(f"nothing came through the {self.wire.name} wire")


@dataclass(slots=True)
class WireReset:
    """Every connection of a wire ends without a word, again and again."""

    wire: Wire
    name: str = "wire reset"
    hold_s: float = 1.5
    takes_s: float = 0.0
    _again: Again = field(default_factory=Again)
    _ends: int = 0

    async def inject(self, system: System) -> None:
        self._again.begin(self._reset(), self.name)

    async def _reset(self) -> None:
        self._ends += self.wire.reset()
        while not await self._again.enough(self.hold_s / 4):
            self._ends += self.wire.reset()

    async def heal(self, system: System) -> None:
        await self._again.end()
        if not self._ends:
            raise NotMade("there was no connection to reset")


@dataclass(slots=True)
class DiskFull:
    """No byte more goes on the disk under a part; what is on it can be changed."""

    disk: str
    hold_s: float = 2.0
    takes_s: float = 0.0

    @property
    def name(self) -> str:
        return disk_fault(self.disk)

    async def inject(self, system: System) -> None:
        await asyncio.to_thread(system.disks.fill, self.disk)

    async def heal(self, system: System) -> None:
        await asyncio.to_thread(system.disks.widen, self.disk)


def disk_fault(disk: str) -> str:
    return f"disk full under {disk}"
