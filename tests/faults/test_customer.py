"""A client of a chaos run expects of the system only what follows from what it did."""

import asyncio
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import httpx2
import pytest

from faults import customer
from faults.customer import Customer, Pace
from faults.goods import Shop
from faults.ledger import Fate, Ledger, read_ledger
from tillstream.contracts.entities import Entity

pytestmark = pytest.mark.unit

REQUESTS = 5


def gone(request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ConnectError("nobody is there", request=request)


def taken(request: httpx2.Request) -> httpx2.Response:
    """What the door answers, as far as this client looks at it without bad items."""
    del request
    return httpx2.Response(202, json={"invalid_events": [], "message_ids": []})


@pytest.mark.parametrize(("answer", "contradicts"), [(gone, False), (taken, True)])
async def test_only_what_was_acknowledged_is_contradicted(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[[httpx2.Request], httpx2.Response],
    contradicts: bool,
) -> None:
    """An event that was given up may never have arrived: another content under its id would be the first, and be stored."""
    monkeypatch.setattr(customer, "GIVES_UP", 1.0)
    monkeypatch.setattr(customer, "REPEATS", 0.0)
    monkeypatch.setattr(customer, "CONTRADICTS", 1.0)
    shop, pace, ledger = Shop("customer", 1_000), Pace(), Ledger(tmp_path / "ledger")
    pace.grant(1_000, 0.001)
    requests = islice((each for each in shop.requests() if each.entity is Entity.EVENT), REQUESTS)
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer), base_url="http://door") as http:
        await Customer(http, ledger, shop, pace, "customer").send_all(requests, asyncio.Event())
    ledger.close()
    fates = {item.fate for sent in read_ledger(ledger.path).values() for item in sent.items}
    assert Fate.TABLE in fates
    assert (Fate.CONFLICT in fates) is contradicts
