"""What etl-worker and file-loader have in common as processes: who they are, and how they come to a connection."""

import os
import socket
from zoneinfo import ZoneInfo

from psycopg import AsyncConnection

from tillstream.db.zone import check_zone
from tillstream.kafka.link import Connect
from tillstream.observe.definitions import Process


def owner(process: Process) -> str:
    """Who this process is, for an operator who reads the fence rows."""
    return f"{process}@{socket.gethostname()}:{os.getpid()}"


async def connect_to_same_days(connect: Connect, shop_timezone: ZoneInfo) -> AsyncConnection:
    """A connection to a database that keeps the same days. Raises Misconfigured for another one."""
    conn = await connect()
    try:
        await check_zone(conn, shop_timezone)
    except BaseException:
        await conn.close()
        raise
    return conn
