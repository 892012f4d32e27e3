"""A client as our documents ask for one: the same ids at every attempt, and no end of patience, but for those who give up."""

import asyncio
from collections.abc import Iterator
from random import Random
from time import monotonic
from typing import Any

import httpx2

from faults.goods import SOURCE, Request, Shop
from faults.holding import hold, pause
from faults.ledger import Fate, Ledger
from tillstream.contracts.entities import Entity

GIVES_UP = 0.02  # of requests with events, after their first failure
REPEATS = 0.05
CONTRADICTS = 0.05
PATIENCE_S = (1.0, 8.0)  # the door's own is 5 s, so that some answers come too late
RETRY_WAIT_S = (0.05, 0.5)
LONGEST_RETRY_S = 1.0
PERSISTS_FOR_S = 300.0
LOOK_EVERY_S = 0.02


class Pace:
    """How many events may have been sent by now: granted in portions, each spread over some seconds."""

    def __init__(self) -> None:
        self._before = 0
        self._portion = 0
        self._over_s = 1.0
        self._since = monotonic()
        self._taken = 0

    def grant(self, events: int, over_s: float) -> None:
        self._before += self._portion
        self._portion, self._over_s, self._since = events, over_s, monotonic()

    async def turn(self, events: int, stop: asyncio.Event) -> None:
        while self._taken >= self._allowed() and not stop.is_set():
            await hold(LOOK_EVERY_S, stop)
        self._taken += events

    def _allowed(self) -> float:
        return self._before + self._portion * min(1.0, (monotonic() - self._since) / self._over_s)


class Customer:
    """Sends requests and keeps the ledger. `problems` are answers that no client should ever get."""

    def __init__(self, http: httpx2.AsyncClient, ledger: Ledger, shop: Shop, pace: Pace, seed: str) -> None:
        self.problems: list[str] = []
        self._http = http
        self._ledger = ledger
        self._shop = shop
        self._pace = pace
        self._random = Random(seed)

    async def send_all(self, requests: Iterator[Request], stop: asyncio.Event) -> None:
        """Shares `requests` with others who send from it. A stop lets the last one be finished."""
        for request in requests:
            events = len(request.items) if request.entity is Entity.EVENT else 0
            await self._pace.turn(events, stop)
            if stop.is_set():
                return
            if not await self.post(request):
                continue  # given up: it may be in the log or not, so another content under its id might be the first
            if self._random.random() < REPEATS:
                await self.post(request)
            elif request.entity is Entity.EVENT and self._random.random() < CONTRADICTS:
                await self._contradict(request)

    async def post(self, request: Request, *, may_give_up: bool = True) -> bool:
        """Until everything that is good is acknowledged; whether it was."""
        number = await self._ledger.sent(request.items)
        gives_up = may_give_up and request.entity is Entity.EVENT and self._random.random() < GIVES_UP
        deadline = monotonic() + PERSISTS_FOR_S
        while monotonic() < deadline:
            try:
                response = await self._attempt(request)
            except httpx2.TransportError:
                wait_s = self._random.uniform(*RETRY_WAIT_S)
            else:
                if response.status_code not in {429, 503}:
                    return await self._settled(number, request, response)
                await self._note_part(number, response.json())
                wait_s = min(float(response.headers.get("retry-after", 1)), LONGEST_RETRY_S)
            if gives_up:
                return False
            await pause(wait_s)  # as the answer asked for, or as a client does by itself
        self.problems.append(f"{request.path} was not acknowledged within {PERSISTS_FOR_S:g} s")
        return False

    async def _attempt(self, request: Request) -> httpx2.Response:
        return await self._http.post(
            request.path,
            params={"source": SOURCE},
            headers={"Idempotency-Key": request.key} if request.key else {},
            json=[item.content for item in request.items],
            timeout=self._random.uniform(*PATIENCE_S),
        )

    async def _settled(self, number: int, request: Request, response: httpx2.Response) -> bool:
        """The last answer: everything good is in, and the rest was refused, for each position as it should be."""
        if response.status_code != 202:
            self.problems.append(f"{request.path} answered {response.status_code}: {response.text[:200]}")
            return False
        answer = response.json()
        good = [place for place in range(len(request.items)) if place not in request.refused]
        [invalid] = [value for name, value in answer.items() if name.startswith("invalid_")]
        if {bad["index"] for bad in invalid} != request.refused:
            self.problems.append(f"{request.path} refused others than the bad items: {response.text[:200]}")
        if answer["message_ids"] != [str(request.items[place].message_id) for place in good]:
            self.problems.append(f"{request.path} made other ids than a client expects")
        await self._ledger.acknowledged(number, good)
        return True

    async def _note_part(self, number: int, answer: dict[str, Any]) -> None:
        """What a refusal says was accepted all the same."""
        known = [item["index"] for item in answer.get("items", ()) if item["status"] == "acknowledged"]
        if known:
            await self._ledger.acknowledged(number, known)

    async def _contradict(self, request: Request) -> None:
        event = request.items[0]
        if event.fate is Fate.TABLE:
            await self.post(self._shop.conflict(event))
