"""Fixtures: clients of the running stack."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from e2e.driver import KINDS, SAMPLE, Shop
from support.any_stack import AnyStack

ANSWER_WITHIN_S = 20


@pytest.fixture
async def running(stack: AnyStack) -> AsyncIterator[Shop]:
    """The stack, and a client for each of its doors."""
    async with (
        httpx2.AsyncClient(base_url=stack.ingest_url, timeout=ANSWER_WITHIN_S) as ingest,
        httpx2.AsyncClient(base_url=stack.query_url, timeout=ANSWER_WITHIN_S) as query,
    ):
        yield Shop(stack, ingest, query)


@pytest.fixture
async def shop(running: Shop) -> Shop:
    """The stack with the sample shop in it; the first test that asks loads it."""
    for kind in KINDS:
        if not (await running.get("/jobs", file_name=f"{kind}.csv"))["jobs"]:
            running.drop(f"{kind}.csv", (SAMPLE / f"{kind}.csv").read_bytes())
    for kind in KINDS:
        await running.settled(f"{kind}.csv")
    return running
