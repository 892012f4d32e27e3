"""The demo's traffic arrives."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from e2e.driver import Shop

pytestmark = pytest.mark.e2e

SECONDS = 3
ENDS_WITHIN_S = 30


async def test_the_orders_of_three_seconds_of_demo_are_found(shop: Shop) -> None:
    demo = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("tillstream"),
        *("demo", "--url", shop.stack.ingest_url, "--rate", "100", "--seconds", str(SECONDS), "--seed", "1"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(ENDS_WITHIN_S):
        output, _ = await demo.communicate()
    assert demo.returncode == 0, output
    last_line = output.decode().splitlines()[-1]
    sent, accepted, refused = (
        int(re.search(rf"{word} ([\d,]+)", last_line).group(1).replace(",", ""))  # type: ignore[union-attr]
        for word in ("sent", "accepted", "refused")
    )
    assert sent == accepted + refused
    assert accepted > 100 * SECONDS / 2
    await shop.caught_up()
    [(orders,)] = await shop.rows(
        "SELECT count(DISTINCT key) FROM shop.changes WHERE source = 'demo' AND entity = 'order'"
    )
    newest = (await shop.get("/orders", limit=500))["orders"]
    found = [
        order for order in newest if order["items"] and order["items"][0]["product_id"] in range(101, 113)
    ]
    assert orders == len(found) > 0
