"""The four analytics, each with how fresh its numbers are. What they mean stands in the SQL of schema `api`."""

from datetime import date, datetime, timedelta
from typing import Any

from query_api.database import Reader, Session
from query_api.failures import BadParameter
from query_api.freshness import (
    FUNNEL_TOPICS,
    PRODUCT_TOPICS,
    RETENTION_TOPICS,
    REVENUE_TOPICS,
    freshness_of,
)

DEFAULT_RANGE_DAYS = 30
MAX_RANGE_DAYS = 3_660


async def daily_revenue(
    reader: Reader, now: datetime, first_day: date | None, last_day: date | None
) -> dict[str, Any]:
    """The last 30 shop days unless the range says otherwise. Raises BadParameter for a range that is none."""
    async with reader.session() as session:
        first, last = await _whole_range(session, now, first_day, last_day)
        freshness = await freshness_of(session, REVENUE_TOPICS)
        rows = await session.rows("daily_revenue", {"first_day": first, "last_day": last})
    return {"daily_revenue": rows, "freshness": freshness}


async def top_products(
    reader: Reader, now: datetime, *, days: int, limit: int, as_of: date | None
) -> dict[str, Any]:
    """Looks back from today unless `as_of` names another day."""
    async with reader.session() as session:
        last = as_of or await _shop_day(session, now)
        freshness = await freshness_of(session, PRODUCT_TOPICS)
        rows = await session.rows("top_products", {"days": days, "limit": limit, "as_of": last})
    return {"top_products": rows, "freshness": freshness}


async def retention(
    reader: Reader, now: datetime, first_day: date | None, last_day: date | None
) -> dict[str, Any]:
    """The signups of the last 30 shop days unless the range says otherwise. Raises BadParameter for a range that is none."""
    async with reader.session() as session:
        today = await _shop_day(session, now)
        first, last = await _whole_range(session, now, first_day, last_day)
        freshness = await freshness_of(session, RETENTION_TOPICS)
        rows = await session.rows("retention", {"first_day": first, "last_day": last, "today": today})
    return {"retention": rows, "freshness": freshness}


async def funnel(reader: Reader, first_day: date | None, last_day: date | None) -> dict[str, Any]:
    """Everything there ever was unless an end of the range is given. Raises BadParameter for a range that is none."""
    if first_day and last_day:
        check_range(first_day, last_day)
    async with reader.session() as session:
        freshness = await freshness_of(session, FUNNEL_TOPICS)
        rows = await session.rows("funnel", {"first_day": first_day, "last_day": last_day})
    return {"funnel": rows, "freshness": freshness}


def check_range(first_day: date, last_day: date) -> None:
    """Raises BadParameter where the ends are the wrong way round or too far apart."""
    if first_day > last_day:
        raise BadParameter("from", f"{first_day} is after the last day of the range, {last_day}")
    if (last_day - first_day).days >= MAX_RANGE_DAYS:
        raise BadParameter(
            "from", f"a range has {MAX_RANGE_DAYS} days at most, and this one ends on {last_day}"
        )


async def _whole_range(
    session: Session, now: datetime, first_day: date | None, last_day: date | None
) -> tuple[date, date]:
    """Both ends, where one or both may have been left out: the last is today then, the first 29 days before the last."""
    last = last_day or await _shop_day(session, now)
    first = first_day or last - timedelta(days=DEFAULT_RANGE_DAYS - 1)
    check_range(first, last)
    return first, last


async def _shop_day(session: Session, moment: datetime) -> date:
    """Only the database says to which day a moment belongs, so that all answers agree."""
    row = await session.row("shop_day", {"moment": moment})
    assert row is not None
    day: date = row["day"]
    return day
