"""Prometheus finds every process."""

import httpx2
import pytest

from e2e.driver import Json, Shop, eventually
from support.composed import ComposedStack

pytestmark = pytest.mark.e2e

PROCESSES = {"ingest-api", "query-api", "etl-worker", "file-watcher", "file-loader"}
SCRAPED_WITHIN_S = 60


async def ask(composed: ComposedStack, path: str, **parameters: str) -> Json:
    """What Prometheus answers to a question that must succeed."""
    async with httpx2.AsyncClient(base_url=composed.prometheus_url, timeout=10) as client:
        response = await client.get(f"/api/v1/{path}", params=parameters)
    assert response.status_code == 200, response.text
    answer: Json = response.json()["data"]
    return answer


async def test_every_process_is_scraped(shop: Shop, composed: ComposedStack) -> None:
    async def all_up() -> bool:
        # A worker's former address may still be there for some minutes.
        found = (await ask(composed, "query", query="tillstream_ready == 1"))["result"]
        return {series["metric"]["job"] for series in found} == PROCESSES

    assert await eventually(all_up, SCRAPED_WITHIN_S)
    targets = (await ask(composed, "targets"))["activeTargets"]
    assert {target["health"] for target in targets} == {"up"}, targets
