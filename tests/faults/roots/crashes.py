"""Crash points: at a labelled step of a batch, or of a file's chunk, this process ends, or stops, when a file asks for it."""

import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

from psycopg import AsyncConnection

from etl_worker.app import Ports
from etl_worker.file_loader.app import Ports as FilePorts
from tillstream.apply.applied import Applied
from tillstream.kafka.fence import Move
from tillstream.kafka.records import Place
from tillstream.kafka.steps import Advance, Commit

type ApplyOf[M] = Callable[[AsyncConnection, Sequence[M]], Awaitable[Sequence[Applied]]]

EXIT_CRASHED = 70


class Step(StrEnum):
    """Where a batch can be cut off."""

    BEFORE_WRITE = "before the write"
    AFTER_WRITE = "after the write"
    AFTER_FENCE = "after the fence"
    BEFORE_COMMIT = "before the commit"
    AFTER_COMMIT = "after the commit"


STOP = "stop "  # before a step: the process stops itself there instead, until somebody lets it go on


class CrashPoints:
    """The file holds a step; it is used up by whichever process that looks at it gets there first."""

    def __init__(self, file: str) -> None:
        self._file = Path(file)

    def around(self, ports: Ports) -> Ports:
        return replace(
            ports,
            apply=self._apply(ports.apply),
            advance=self._advance(ports.advance),
            commit=self._commit(ports.commit),
        )

    def around_files(self, ports: FilePorts) -> FilePorts:
        """A chunk has no fence of the loop's."""
        return replace(ports, apply=self._apply(ports.apply), commit=self._commit(ports.commit))

    def _apply[M](self, apply: ApplyOf[M]) -> ApplyOf[M]:
        async def crashing(conn: AsyncConnection, messages: Sequence[M]) -> Sequence[Applied]:
            self._reach(Step.BEFORE_WRITE)
            applied = await apply(conn, messages)
            self._reach(Step.AFTER_WRITE)
            return applied

        return crashing

    def _advance(self, advance: Advance) -> Advance:
        async def crashing(conn: AsyncConnection, moves: Mapping[Place, Move]) -> set[Place]:
            moved = await advance(conn, moves)
            self._reach(Step.AFTER_FENCE)
            return moved

        return crashing

    def _commit(self, commit: Commit) -> Commit:
        async def crashing(conn: AsyncConnection) -> None:
            self._reach(Step.BEFORE_COMMIT)
            await commit(conn)
            self._reach(Step.AFTER_COMMIT)

        return crashing

    def _reach(self, step: Step) -> None:
        if not self._file.exists():
            return
        try:
            asked = self._file.read_text()
            if asked.removeprefix(STOP) != step:
                return
            self._file.unlink()
        except FileNotFoundError:  # the other worker was faster
            return
        if asked.startswith(STOP):
            os.kill(os.getpid(), signal.SIGSTOP)
        else:
            os._exit(EXIT_CRASHED)
