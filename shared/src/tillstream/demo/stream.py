"""Sends the shop's records to ingest-api at a steady rate, and does not let go of one before it is answered."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from random import Random
from uuid import UUID

import msgspec

from tillstream.clock import Clock
from tillstream.contracts.entities import APPLY_ORDER, Entity
from tillstream.demo.client import Answer, Client
from tillstream.demo.shop import Shop, Step
from tillstream.errors import DoorUnavailable, Misconfigured

SOURCE = "demo"
ROUTE_OF = {
    Entity.USER: "/ingest/users",
    Entity.PRODUCT: "/ingest/products",
    Entity.ORDER: "/ingest/orders",
    Entity.EVENT: "/ingest/events",
}
TICK_S = 0.1
# After a wait the stream goes on at its rate; it does not make up for more than this.
MAX_CATCH_UP_S = 1.0
MAX_BATCH_RECORDS = 1_000
DEFAULT_RETRY_S = 1.0
MAX_RETRY_S = 30.0
# Between two steps of one visit; quicker than people are, so that the first orders come soon.
STEP_S = 0.5
_UUID_BITS = 128
_UUID_VERSION = 4

encode = msgspec.json.Encoder(decimal_format="number").encode


class _Counted(msgspec.Struct):
    """What the demo reads of an answer."""

    inserted: int = 0


@dataclass(slots=True)
class Totals:
    """What became of the records so far. `sent` counts a record once, `retried` each time it was sent again."""

    sent: int = 0
    accepted: int = 0
    refused: int = 0
    retried: int = 0
    seconds: float = 0.0
    # Why a record waits for its answer now; empty while all is well.
    trouble: str = ""

    def sentence(self) -> str:
        """The progress line."""
        rate = self.sent / self.seconds if self.seconds > 0 else 0.0
        line = (
            f"sent {self.sent:,} · accepted {self.accepted:,} · refused {self.refused:,} · "
            f"retried {self.retried:,} · {rate:,.1f}/s"
        )
        return f"{line} · {self.trouble}" if self.trouble else line


class Stream:
    """One run of the demo: `rate` records a second, for `seconds` or until told to stop."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        chance: Random,
        *,
        rate: float,
        seconds: float | None,
        show: Callable[[Totals], None],
    ) -> None:
        self._client = client
        self._clock = clock
        # Request ids must never repeat, whatever seed tells the story.
        self._ids = Random()  # noqa: S311 - unique is enough
        self._shop = Shop(chance, clock, crowd=round(rate * STEP_S))
        self._rate = rate
        self._seconds = seconds
        self._show = show
        self._totals = Totals()

    async def run(self, stop: asyncio.Event) -> Totals:
        """Streams until `stop` is set or the time is over. Raises Misconfigured where the address is none of ingest-api."""
        ends = (
            None if self._seconds is None else asyncio.get_running_loop().call_later(self._seconds, stop.set)
        )
        try:
            await self._stream(stop)
        finally:
            if ends is not None:
                ends.cancel()
        return self._totals

    async def _stream(self, stop: asyncio.Event) -> None:
        start = last = self._clock.monotonic()
        await self._deliver(self._shop.opening(), stop)
        owed = 0.0
        while not stop.is_set():
            now = self._clock.monotonic()
            self._totals.seconds = now - start
            self._show(self._totals)
            owed = min(owed + (now - last) * self._rate, max(self._rate * MAX_CATCH_UP_S, 1.0))
            last = now
            due = min(int(owed), MAX_BATCH_RECORDS)
            owed -= due
            await self._deliver([self._shop.next_step() for _ in range(due)], stop)
            await _wait(stop, TICK_S)

    async def _deliver(self, steps: Sequence[Step], stop: asyncio.Event) -> None:
        """Parents before children, so that little has to wait for its parent on the other side."""
        for entity in APPLY_ORDER:
            records = [step.record for step in steps if step.entity is entity]
            if records and not stop.is_set():
                self._totals.sent += len(records)
                answer = await self._post(entity, encode(records), len(records), stop)
                if answer is not None:
                    self._count(answer, len(records))

    async def _post(self, entity: Entity, body: bytes, count: int, stop: asyncio.Event) -> Answer | None:
        """The final answer, or None where the run was stopped before there was one."""
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": str(UUID(int=self._ids.getrandbits(_UUID_BITS), version=_UUID_VERSION)),
        }
        while True:
            try:
                answer = await self._client.post(f"{ROUTE_OF[entity]}?source={SOURCE}", headers, body)
            except DoorUnavailable as error:
                wait_s, self._totals.trouble = DEFAULT_RETRY_S, str(error)
            else:
                if not _try_again(answer):
                    self._totals.trouble = ""
                    return answer
                wait_s = _retry_after_s(answer)
                self._totals.trouble = f"answered {answer.status}, again in {wait_s:g} s"
            self._show(self._totals)
            if await _wait(stop, wait_s):
                return None
            self._totals.retried += count

    def _count(self, answer: Answer, count: int) -> None:
        if answer.status not in {HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.UNPROCESSABLE_ENTITY}:
            raise Misconfigured(
                f"The address answered {answer.status}, which ingest-api does not; is --url right?"
            )
        accepted = _accepted(answer)
        self._totals.accepted += accepted
        self._totals.refused += count - accepted


def _accepted(answer: Answer) -> int:
    """How many records were accepted; of an answer that is about the whole request, none was."""
    try:
        return msgspec.json.decode(answer.body, type=_Counted).inserted
    except msgspec.DecodeError:
        raise Misconfigured("The address does not answer as ingest-api does; is --url right?") from None


def _try_again(answer: Answer) -> bool:
    return answer.status == HTTPStatus.TOO_MANY_REQUESTS or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _retry_after_s(answer: Answer) -> float:
    value = answer.headers.get("retry-after", "")
    return min(float(value), MAX_RETRY_S) if value.isdecimal() else DEFAULT_RETRY_S


async def _wait(stop: asyncio.Event, seconds: float) -> bool:
    """Waits, but not longer than the run lasts; whether it was stopped."""
    try:
        async with asyncio.timeout(seconds):
            return await stop.wait()
    except TimeoutError:
        return stop.is_set()
