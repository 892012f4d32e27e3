"""Planted bugs of a file-loader. Each takes good ports and gives bad ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from psycopg import AsyncConnection

from etl_worker.file_loader.app import Ports
from tillstream.apply.applied import Applied
from tillstream.contracts.messages import Message

type Bug = Callable[[Ports], Ports]

ROWS_APART = "a file's rows before its place"


def commits_rows_apart(ports: Ports) -> Ports:
    """The rows of a chunk are committed before the job says that it has them."""

    async def apply(conn: AsyncConnection, messages: Sequence[Message]) -> Sequence[Applied]:
        applied = await ports.apply(conn, messages)
        await conn.execute("COMMIT")
        await conn.execute("BEGIN")
        return applied

    return replace(ports, apply=apply)


BUGS: Mapping[str, Bug] = {ROWS_APART: commits_rows_apart}
