"""How a partner's file comes in: dropped into the input folder, or sent to the door, again and again under one key until it is taken."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any

import httpx2

from faults.holding import pause

RETRY_S = 0.3
TRIES = 400
AGAIN = {409, 429, 503, 507}  # it is being sent already, or there is no room for it now
PATIENCE_S = (0.5, 8.0)  # so that some give up a request that is taken all the same
REPEATS = 0.3  # of what was taken: a client that never saw the answer
PIECES = 4  # of a body, so that a fault can hit the middle of one


class Road(StrEnum):
    DROPPED = "dropped"
    SENT = "sent"


@dataclass(slots=True)
class Inbox:
    """The input folder of a partner."""

    folder: Path

    async def put(self, name: str, data: bytes) -> bool:
        """Whether a disk took it."""
        for _ in range(TRIES):
            try:
                await asyncio.to_thread(self._write, name, data)
            except OSError:  # the disk is full
                await pause(RETRY_S)  # a client's, between two attempts
            else:
                return True
        return False

    def _write(self, name: str, data: bytes) -> None:
        self.folder.mkdir(exist_ok=True)
        unfinished = self.folder / f"{name}.part"
        with unfinished.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(self.folder / name)


class Door:
    """POST /ingest/files, with the file's name as its key. `problems` are answers that no client should ever get."""

    def __init__(self, http: httpx2.AsyncClient, source: str, seed: str) -> None:
        self.problems: list[str] = []
        self._http = http
        self._source = source
        self._random = Random(f"{seed}/door")

    async def put(self, name: str, data: bytes) -> bool:
        """Whether it was taken; then some send it once more."""
        taken = await self._send(name, data)
        if taken is None:
            return False
        if self._random.random() < REPEATS:
            again = await self._send(name, data)
            if again is None or again["job_id"] != taken["job_id"] or not again["repeated"]:
                self.problems.append(f"{name} was sent twice under one key: {taken}, then {again}")
        return True

    async def _send(self, name: str, data: bytes) -> dict[str, Any] | None:
        for _ in range(TRIES):
            try:
                answer = await self._attempt(name, data)
            except httpx2.TransportError:
                await pause(RETRY_S)
                continue
            if answer.status_code == httpx2.codes.ACCEPTED:
                return dict(answer.json())
            if answer.status_code not in AGAIN:
                self.problems.append(f"{name} was answered {answer.status_code}: {answer.text[:200]}")
                return None
            await pause(RETRY_S)
        return None

    async def _attempt(self, name: str, data: bytes) -> httpx2.Response:
        return await self._http.post(
            "/ingest/files",
            params={"name": name, "source": self._source},
            headers={"Content-Type": "text/csv", "Idempotency-Key": name},
            content=_in_pieces(data),
            timeout=self._random.uniform(*PATIENCE_S),
        )


async def _in_pieces(data: bytes) -> AsyncIterator[bytes]:
    size = len(data) // PIECES + 1
    for start in range(0, len(data), size):
        yield data[start : start + size]
        await asyncio.sleep(0)
