"""The running shop as its users have it: two addresses and a folder; and the tables, for the proof."""

import csv
import io
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, LiteralString
from uuid import uuid4

import httpx2
import psycopg

from support.any_stack import AnyStack
from tillstream.testing import waiting

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
DIRTY = Path(__file__).parents[2] / "data" / "sample-dirty"
KINDS = ("users", "products", "orders", "order_items", "events")
WITHIN_S = 30.0
FINAL = {"loaded", "loaded_with_rejects", "duplicate", "archived", "failed"}
SIDES = ("loaded", "unchanged", "superseded", "duplicate", "parked", "rejected")

type Json = dict[str, Any]


async def eventually[T](probe: Callable[[], Awaitable[T | None]], within_s: float = WITHIN_S) -> T:
    """The first answer of the probe that is neither None nor false; a whole stack gets longer than one part."""
    found = await waiting.eventually(probe, within_s)
    assert found is not None
    return found


def now() -> str:
    return datetime.now(UTC).isoformat()


class Shop:
    """Talks to the doors; every waiting has a deadline."""

    def __init__(self, stack: AnyStack, ingest: httpx2.AsyncClient, query: httpx2.AsyncClient) -> None:
        self.stack = stack
        self.ingest = ingest
        self.query = query

    async def get(self, path: str, **parameters: object) -> Json:
        """The answer to a question that must succeed."""
        response = await self.query.get(path, params={name: str(value) for name, value in parameters.items()})
        assert response.status_code == 200, response.text
        answer: Json = response.json()
        return answer

    async def post(
        self, kind: str, items: object, source: str = "e2e", key: str | None = None
    ) -> httpx2.Response:
        """Posts to one of the doors, whatever it answers."""
        headers = {"Idempotency-Key": key} if key else {}
        return await self.ingest.post(
            f"/ingest/{kind}", params={"source": source}, json=items, headers=headers
        )

    async def accept(self, kind: str, items: Sequence[Json], source: str = "e2e") -> Json:
        """Posts items that must all be accepted."""
        response = await self.post(kind, items, source)
        assert response.status_code == 202, response.text
        answer: Json = response.json()
        assert (answer["inserted"], answer["rejected"]) == (len(items), 0)
        return answer

    async def receipt(self, event_id: str, source: str = "e2e") -> Json:
        """The receipt of an event once there is one."""

        async def known() -> Json | None:
            answer = await self.get(f"/events/{event_id}/receipt", source=source)
            return answer if answer["status"] != "unknown" else None

        return await eventually(known)

    async def rows(self, statement: LiteralString, *parameters: object) -> list[tuple[Any, ...]]:
        """Reads the tables themselves."""
        async with await psycopg.AsyncConnection.connect(self.stack.worker_dsn, autocommit=True) as conn:
            return await (await conn.execute(statement, parameters)).fetchall()

    async def caught_up(self, within_s: float = WITHIN_S) -> None:
        """Waits until everything that was in the log at the call is in the tables."""
        called_at = datetime.now(UTC)

        async def complete() -> bool:
            response = await self.query.get("/freshness")
            return response.status_code == 200 and all(
                topic["complete_through"] and datetime.fromisoformat(topic["complete_through"]) >= called_at
                for topic in response.json()["topics"]
            )

        await eventually(complete, within_s)

    def drop(self, name: str, content: bytes, source: str | None = None) -> None:
        """Puts a file into the input folder, whole from the first moment."""
        folder = self.stack.data_dir / "input" / (source or "")
        folder.mkdir(parents=True, exist_ok=True)
        half = self.stack.data_dir / f".{uuid4()}.half"
        half.write_bytes(content)
        half.rename(folder / name)

    async def job(self, name: str, status: set[str] | None = None) -> Json:
        """The newest job of a file once it has come to its end."""

        async def ended() -> Json | None:
            jobs = (await self.get("/jobs", file_name=name, limit=1))["jobs"]
            return jobs[0] if jobs and jobs[0]["status"] in (status or FINAL) else None

        job = await eventually(ended)
        assert job["rows"] == sum(job[side] for side in SIDES), job
        return job

    async def settled(self, name: str) -> Json:
        """The newest job of a file once none of its rows waits any more."""

        async def done() -> Json | None:
            jobs = (await self.get("/jobs", file_name=name, limit=1))["jobs"]
            return jobs[0] if jobs and jobs[0]["settled_at"] else None

        return await eventually(done)

    async def load(self, name: str, content: bytes, source: str | None = None) -> Json:
        """Drops a file and waits for the end of its job."""
        self.drop(name, content, source)
        return await self.job(name)


def read_csv(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def write_csv(rows: Sequence[Mapping[str, str]], columns: Sequence[str] | None = None) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(columns or rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
