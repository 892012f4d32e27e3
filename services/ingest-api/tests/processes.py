"""Real processes of ingest-api, without a broker."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2

from support.ports import free_port
from tillstream.folders import Folders
from tillstream.testing.waiting import eventually

HOST = "127.0.0.1"
WITHIN_S = 20.0
CSV = {"content-type": "text/csv"}


class Door:
    """A process of ingest-api without a broker."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port
        self.client = httpx2.AsyncClient(base_url=f"http://{HOST}:{port}", timeout=WITHIN_S)

    async def send(
        self, content: bytes | AsyncIterator[bytes], name: str = "users.csv", query: str = ""
    ) -> httpx2.Response:
        return await self.client.post(f"/ingest/files?name={name}{query}", content=content, headers=CSV)

    def children(self) -> list[int]:
        """Its processes, those that ended and were not waited for included."""
        found = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(each) for path in found for each in path.read_text().split()]

    def peak_bytes(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024


@asynccontextmanager
async def started(folders: Folders, *wrapper: str) -> AsyncIterator[Door]:
    """`wrapper` is a command that runs the process."""
    port = free_port()
    environment = {
        "TILLSTREAM_DATA_DIR": str(folders.root),
        "TILLSTREAM_INGEST_PORT": str(port),
        "TILLSTREAM_OPS_PORT": "0",
        "TILLSTREAM_KAFKA_BOOTSTRAP": f"{HOST}:1",
    }
    process = await asyncio.create_subprocess_exec(
        *(*wrapper, sys.executable, "-m", "ingest_api"),
        env={"PATH": os.environ["PATH"], **environment},
        stdout=asyncio.subprocess.DEVNULL,
    )
    door = Door(process, port)

    async def answers() -> bool:
        try:
            return bool((await door.client.get("/health")).status_code)
        except httpx2.TransportError:
            return False

    try:
        async with door.client:
            await eventually(answers)
            yield door
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
