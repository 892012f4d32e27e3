"""Where a shop day begins."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_SECOND = timedelta(seconds=1)


def start_of_day(day: date, shop_timezone: ZoneInfo) -> datetime:
    """The first instant of a day of the shop, in UTC.

    Midnight may come twice (clocks go back over it: the first one counts) or never (clocks jump over it: the day
    begins where they land). Raises OverflowError at the ends of the calendar.
    """
    midnight = datetime.combine(day, time(), tzinfo=shop_timezone)
    instant = midnight.astimezone(UTC)
    if instant.astimezone(shop_timezone).replace(tzinfo=None) == midnight.replace(tzinfo=None):
        return instant
    return _landing(midnight, instant, shop_timezone)


def _landing(midnight: datetime, after: datetime, shop_timezone: ZoneInfo) -> datetime:
    """The moment of the jump over `midnight`: with the later offset it lies before the jump, with the earlier one not."""
    before = midnight.replace(fold=1).astimezone(UTC)
    while after - before > _SECOND:
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if middle.astimezone(shop_timezone).date() >= midnight.date():
            after = middle
        else:
            before = middle
    return after
