"""Before the first answer: do this process and its database keep the same days?"""

import asyncio
from zoneinfo import ZoneInfo

import structlog

from query_api.database import Reader
from tillstream.errors import DatabaseUnavailable
from tillstream.observe.health import Dependency

RETRY_EVERY_S = 0.5

_log = structlog.get_logger()


async def wait_until_agreed(reader: Reader, zone: ZoneInfo, dependency: Dependency) -> None:
    """Waits for the database as long as it takes. Raises Misconfigured where the days differ."""
    while True:
        try:
            await reader.agree(zone)
        except DatabaseUnavailable as error:
            dependency.waiting(str(error))
            await asyncio.sleep(RETRY_EVERY_S)
        else:
            dependency.reached()
            _log.info("The database keeps the same days; questions are answered.", shop_timezone=zone.key)
            return
