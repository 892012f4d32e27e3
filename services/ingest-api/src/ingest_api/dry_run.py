"""The use case of the dry run: what would become of a body if it were sent as a file. Nothing of it stays."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from starlette.types import Receive

from ingest_api.disk import DiskThreads, disk_told
from ingest_api.examine_file import MODULE, Order
from ingest_api.places import Places
from ingest_api.policy import DryRunPolicy
from ingest_api.upload_folder import ScratchFile, UploadFolder
from tillstream.clock import Clock
from tillstream.contracts.encodings import Encoding
from tillstream.http.problems import CLIENT_GONE, Problem, unavailable
from tillstream.observe.metrics import Metrics

# The server has given requests their time by then, and cancelled the rest.
CLOSE_LIMIT_S = 1.0
_FULL = "{taken} files are being examined at once, and no more are taken."

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Question:
    """What is known of a file before its body is read."""

    file_name: str
    source: str
    encoding: Encoding | None


class DryRun:
    """Bounded in how many run at once and in how long each examines. The body lies in a file without a name, which a process of
    its own reads: a crash of either leaves neither file nor process."""

    def __init__(
        self,
        folder: UploadFolder,
        clock: Clock,
        shop_timezone: ZoneInfo,
        metrics: Metrics,
        policy: DryRunPolicy,
        piece_bytes: int,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._shop_timezone = shop_timezone
        self._metrics = metrics
        self._policy = policy
        self._piece_bytes = piece_bytes
        self._places = Places(policy.max_dry_runs, _FULL, policy.retry_after_s)
        self._disk = DiskThreads(policy.max_dry_runs, "dry-run")
        metrics.ingest_dry_runs_in_flight.set_function(lambda: self._places.taken)

    def __repr__(self) -> str:
        return f"<DryRun in {self._folder}: {self._places.taken} in flight>"

    def open(self) -> None:
        self._disk.open()

    async def close(self) -> None:
        """May be repeated. What was cut short ends its process and frees its space meanwhile."""
        if not await self._places.all_free(CLOSE_LIMIT_S):
            _log.warning("A file that is being examined waits for its disk.", files=self._places.taken)
        self._disk.close()

    async def __call__(self, question: Question, receive: Receive) -> bytes:
        """The diagnosis in JSON, of a file that would be refused, too. Raises Problem: 422 for an empty body, 503, 507."""
        with self._places.one(), disk_told():
            async with self._scratch() as file:
                await self._disk.fill(file, receive, self._piece_bytes)
                if not file.size:
                    raise Problem(422, "The body is empty.")
                began = self._clock.monotonic()
                answer = await self._examined(file, question, receive)
        self._metrics.ingest_dry_runs.inc()
        _log.info(
            "Examined a file.",
            file_name=question.file_name,
            source=question.source,
            bytes=file.size,
            seconds=round(self._clock.monotonic() - began, 3),
        )
        return answer

    @asynccontextmanager
    async def _scratch(self) -> AsyncIterator[ScratchFile]:
        file = await self._disk.run(self._folder.scratch, undo=lambda opened: opened.discard())
        try:
            yield file
        finally:
            await self._disk.run(file.discard)

    async def _examined(self, file: ScratchFile, question: Question, receive: Receive) -> bytes:
        order = Order(
            handle=file.handle,
            file_name=question.file_name,
            accepted_at=self._clock.now().isoformat(),
            shop_timezone=self._shop_timezone.key,
            encoding=question.encoding and question.encoding.value,
            report_ms=int(self._policy.report_s * 1_000),
        )
        process = await _started(file.handle)
        answering = asyncio.create_task(_answer(process, order), name="dry run")
        leaving = asyncio.create_task(_gone(receive), name="client of a dry run")
        try:
            limit_s = self._policy.report_s + self._policy.grace_s
            await asyncio.wait({answering, leaving}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                return self._checked(answering.result(), process)
            if leaving.done():
                raise Problem(CLIENT_GONE, "The client went away before its file was examined.")
            raise unavailable(f"The file was not examined within {limit_s:g} s.")
        finally:
            await _end(process, answering, leaving)

    def _checked(self, answer: bytes, process: Process) -> bytes:
        if process.returncode == 0:
            return answer
        _log.error("ALARM: an examination ended without an answer.", exit_code=process.returncode)
        raise unavailable(
            "The examination ended without an answer.", retry_after_s=self._policy.retry_after_s
        )


async def _started(handle: int) -> Process:
    """Raises Problem 503 where the system has no room for another process."""
    try:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", MODULE, stdin=PIPE, stdout=PIPE, pass_fds=(handle,)
        )
    except OSError as error:
        _log.error("ALARM: an examination cannot be started.", problem=str(error))
        raise unavailable("No process can be started to examine the file.") from None


async def _answer(process: Process, order: Order) -> bytes:
    """Its input stays open: it ends with whoever holds the other end."""
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(ConnectionError):  # it has ended already, and its exit code says how
        process.stdin.write(order.line())
        await process.stdin.drain()
    answer = await process.stdout.read()
    await process.wait()
    return answer


async def _gone(receive: Receive) -> None:
    """Returns when the client is gone: after its body nothing else comes."""
    while (await receive())["type"] != "http.disconnect":
        continue


async def _end(process: Process, *tasks: asyncio.Task[Any]) -> None:
    """Nothing runs on, and no process is left that nobody waited for. Also where the request is given up meanwhile."""
    for each in tasks:
        each.cancel()
    with suppress(ProcessLookupError):
        process.kill()
    await asyncio.shield(asyncio.gather(process.wait(), *tasks, return_exceptions=True))
    if process.stdin is not None:
        process.stdin.close()
