"""Through when the tables are complete, as a metric: seen from where the questions are asked, and whoever is to blame."""

import asyncio
from contextlib import suppress

from query_api.database import Reader
from tillstream.errors import DatabaseUnavailable
from tillstream.observe.metrics import Metrics

EVERY_S = 5.0


class FreshnessWatch:
    """Reads what the worker wrote about its progress; without the worker, and without the database, the time stands still."""

    def __init__(self, reader: Reader, metrics: Metrics, every_s: float = EVERY_S) -> None:
        self._reader = reader
        self._gauge = metrics.data_complete_through_timestamp_seconds
        self._every_s = every_s

    def __repr__(self) -> str:
        return f"<FreshnessWatch every {self._every_s:g} s>"

    async def run(self) -> None:
        """Never returns. An outage leaves the gauge as it is: nothing newer can be read."""
        while True:
            with suppress(DatabaseUnavailable):  # readiness says so already
                await self.look()
            await asyncio.sleep(self._every_s)

    async def look(self) -> None:
        """One look. Of a topic that has never been complete there is no figure. Raises DatabaseUnavailable."""
        async with self._reader.session() as session:
            rows = await session.rows("complete_through")
        for row in rows:
            self._gauge.labels(row["topic"]).set(row["complete_through"].timestamp())
