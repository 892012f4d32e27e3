"""Batches of events under known ids, posted until they are taken, and counted in the table."""

import httpx2

from e2e.driver import Json, Shop, eventually

RECOVERS_WITHIN_S = 240
EVENTS = 200


def batch(mark: str) -> list[Json]:
    return [
        {
            "event_id": f"{mark}-{number}",
            "user_id": number % 10 + 1,
            "event_type": "page_view",
            "product_id": number % 15 + 1,
            "event_timestamp": "2023-05-01T12:00:00Z",
        }
        for number in range(EVENTS)
    ]


async def stored(shop: Shop, source: str) -> int:
    [(count,)] = await shop.rows("SELECT count(*) FROM shop.events WHERE source = %s", source)
    return int(count)


async def post_until_taken(shop: Shop, items: list[Json], source: str) -> None:
    """A door that is away is asked again, with the same ids, as its clients do."""

    async def taken() -> bool:
        try:
            return (await shop.post("events", items, source)).status_code == 202
        except httpx2.TransportError:
            return False

    await eventually(taken, RECOVERS_WITHIN_S)
