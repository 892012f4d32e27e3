"""On the running stack, every metric of the closed list is exposed by the processes that it names, and by no others."""

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from e2e.driver import Shop, eventually
from support.promql import FOREIGN
from tillstream.observe.definitions import DEFINITIONS, Definition, Process

pytestmark = pytest.mark.e2e

# What only shows once something has gone wrong, or was asked for; its name and its kind are there all the same.
MEASURED_ON_DEMAND = {
    "apply_retries", "file_removals_failed", "files_removed", "ingest_rejected_records", "partition_fenced",
    "producer_failed_records", "quarantined_records",
}  # fmt: skip

EVENT = {
    "user_id": 1, "event_type": "page_view", "product_id": 1, "event_timestamp": "2019-06-01T12:00:00Z",  # in no year that is counted elsewhere
}  # fmt: skip


async def scraped(shop: Shop, process: Process) -> tuple[dict[str, str], set[str]]:
    """The kinds of the families that a process exposes, by name; and which of them have a series."""
    async with httpx2.AsyncClient(base_url=shop.stack.ops_url(process)) as client:
        text = (await client.get("/metrics")).raise_for_status().text
    families = list(text_string_to_metric_families(text))
    return {each.name: each.type for each in families}, {each.name for each in families if each.samples}


def family(definition: Definition) -> str:
    return definition.name.removesuffix("_total")


@pytest.mark.parametrize("process", Process)
async def test_a_process_exposes_exactly_what_the_list_says(shop: Shop, process: Process) -> None:
    kinds, _ = await scraped(shop, process)
    ours = {
        name: kind for name, kind in kinds.items() if name not in FOREIGN and f"{name}_total" not in FOREIGN
    }
    assert ours == {family(each): str(each.kind) for each in DEFINITIONS if process in each.processes}


async def test_after_the_sample_shop_and_an_event_every_metric_has_a_value(shop: Shop) -> None:
    await shop.accept("events", [EVENT], "metrics")

    async def nothing_lacks() -> bool:
        return await lacking(shop) == {}

    try:
        await eventually(nothing_lacks)
    except AssertionError:
        assert await lacking(shop) == {}


async def lacking(shop: Shop) -> dict[str, list[str]]:
    """Per process the metrics that it should measure by now, and does not."""
    found = {}
    for process in Process:
        _, measured = await scraped(shop, process)
        served = [each for each in DEFINITIONS if process in each.processes]
        wanted = {family(each) for each in served if each.field not in MEASURED_ON_DEMAND}
        if wanted - measured:
            found[str(process)] = sorted(wanted - measured)
    return found
