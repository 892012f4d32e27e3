"""Fixtures: clients of the running stack."""

from collections.abc import AsyncIterator, Mapping

import httpx2
import pytest

from e2e.driver import KINDS, SAMPLE, Shop
from support.any_stack import AnyStack

ANSWER_WITHIN_S = 20


@pytest.fixture(scope="session")
def stack_settings() -> Mapping[str, str]:
    """Files are dropped whole here, so that the watcher need not wait long to see whether they still grow."""
    return {"TILLSTREAM_FILE_STABLE_S": "0.2", "TILLSTREAM_FILE_SCAN_S": "0.2"}


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
