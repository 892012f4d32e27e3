"""Planted bugs of a file-loader, each to be found by the check of the end state. Each takes good ports and gives bad ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast, override

from psycopg import AsyncConnection

from etl_worker.file_loader.app import Ports
from etl_worker.file_loader.desk import Desk
from etl_worker.file_loader.jobs import Ending, Job, Jobs, Statement
from tillstream.apply.applied import Applied
from tillstream.contracts.messages import Message

type Plant = Callable[[Ports], Ports]

PLANT = "FILE_FAULTS_PLANT"
ROWS_APART = "rows before their place"
MOVES_FIRST = "the move before the statement"


def commits_rows_apart(ports: Ports) -> Ports:
    """The rows of a chunk are committed before the job says that it has them."""

    async def apply(conn: AsyncConnection, messages: Sequence[Message]) -> Sequence[Applied]:
        applied = await ports.apply(conn, messages)
        await conn.execute("COMMIT")
        await conn.execute("BEGIN")
        return applied

    return replace(ports, apply=apply)


class Hasty(Jobs):
    """Puts the file away before its statement is committed."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk

    @override
    async def finish(self, conn: AsyncConnection, job: Job, ending: Ending) -> Statement:
        self._desk.put_away(job.job_id, job.file_name, failed=ending.status == "failed")
        return await super().finish(conn, job, ending)


def moves_first(ports: Ports) -> Ports:
    return replace(ports, jobs=cast("Any", Hasty(ports.desk)))


PLANTS: Mapping[str, Plant] = {ROWS_APART: commits_rows_apart, MOVES_FIRST: moves_first}
