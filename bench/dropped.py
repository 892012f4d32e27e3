"""Large files of orders and events, and what the loader makes of one that is dropped into the folder."""

import os
import random
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import psycopg

from backlog import PRODUCTS, TYPES, USERS
from tillstream.contracts.ids import new_ids
from tillstream.folders import Folders
from tillstream_native.stack import Stack

STATUSES = ("pending", "paid", "cancelled", "shipped")
ORDER_COLUMNS = "order_id,user_id,order_date,status,total_amount"
EVENT_COLUMNS = "event_id,user_id,event_type,product_id,event_timestamp"
BLOCK_ROWS = 10_000
POLL_S = 0.05
WITHIN_S = 7_200
SPREAD_S = 300 * 86_400
JOB = """
SELECT status, rows, loaded, rejected, extract(epoch FROM finished_at - started_at)
FROM shop.file_jobs WHERE file_name = %s
"""


class Loaded(NamedTuple):
    """One file at its end. `seconds` from its first byte to its statement."""

    status: str
    rows: int
    loaded: int
    rejected: int
    seconds: Decimal

    @property
    def per_second(self) -> float:
        return self.rows / float(self.seconds)


def orders(count: int, *, odd_one_in: int = 0) -> Iterator[str]:
    """So many rows, in the order of their ids; every so many-th has an amount that is none."""
    rng = random.Random(1)
    for order_id in range(1, count + 1):
        is_odd = odd_one_in and order_id % odd_one_in == 0
        amount = "12.5.50" if is_odd else f"{rng.randint(1, 99_999) / 100:.2f}"
        yield f"{order_id},{rng.randint(1, USERS)},{_moment(rng)},{rng.choice(STATUSES)},{amount}\n"


def events(count: int) -> Iterator[str]:
    """So many rows, each with an id of its own, which sorts by time as those of our own door do."""
    rng = random.Random(2)
    for event_id in new_ids(count):
        yield f"{event_id},{rng.randint(1, USERS)},{rng.choice(TYPES)},{rng.randint(1, PRODUCTS)},{_moment(rng)}\n"


def _moment(rng: random.Random) -> str:
    return f"{datetime.now(UTC) - timedelta(seconds=rng.randrange(SPREAD_S)):%Y-%m-%dT%H:%M:%SZ}"


def write(path: Path, columns: str, rows: Iterator[str]) -> Path:
    with path.open("w") as file:
        file.write(f"{columns}\n")
        while block := "".join(islice(rows, BLOCK_ROWS)):
            file.write(block)
    return path


def drop(stack: Stack, connection: psycopg.Connection, source: Path, name: str) -> Loaded:
    """Put a copy into the folder, under its final name at once, and wait for its statement."""
    begin(stack, source, name)
    deadline = time.monotonic() + WITHIN_S
    while (job := connection.execute(JOB, (name,)).fetchone()) is None or job[0] in {"queued", "running"}:
        assert time.monotonic() < deadline, "the file was not loaded in time"
        time.sleep(POLL_S)
    return Loaded(*job)


def begin(stack: Stack, source: Path, name: str) -> None:
    """Put a copy into the folder, for whoever takes it."""
    folder = Folders(stack.places.data).input
    owner = folder.stat()
    part = folder / f".{name}.part"
    shutil.copyfile(source, part)
    os.chown(part, owner.st_uid, owner.st_gid)
    part.rename(folder / name)
