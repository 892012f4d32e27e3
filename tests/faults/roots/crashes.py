"""Crash points: at a labelled step of a batch this process ends, or stops, when a file asks for it."""

import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

from psycopg import AsyncConnection

from etl_worker.app import Ports
from tillstream.apply.engine import Applied
from tillstream.contracts.messages import Message
from tillstream.contracts.plain_events import PlainEvent
from tillstream.kafka.fence import Move
from tillstream.kafka.records import Place

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
    """The file holds a step; it is used up by the first batch of any worker that gets there."""

    def __init__(self, file: str) -> None:
        self._file = Path(file)

    def around(self, ports: Ports) -> Ports:
        apply, advance, commit = ports.apply, ports.advance, ports.commit

        async def crashing_apply(
            conn: AsyncConnection, messages: Sequence[Message | PlainEvent]
        ) -> list[Applied]:
            self._reach(Step.BEFORE_WRITE)
            applied = await apply(conn, messages)
            self._reach(Step.AFTER_WRITE)
            return applied

        async def crashing_advance(conn: AsyncConnection, moves: Mapping[Place, Move]) -> set[Place]:
            moved = await advance(conn, moves)
            self._reach(Step.AFTER_FENCE)
            return moved

        async def crashing_commit(conn: AsyncConnection) -> None:
            self._reach(Step.BEFORE_COMMIT)
            await commit(conn)
            self._reach(Step.AFTER_COMMIT)

        return replace(ports, apply=crashing_apply, advance=crashing_advance, commit=crashing_commit)

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
