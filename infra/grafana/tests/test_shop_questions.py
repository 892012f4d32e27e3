"""Each question of "the shop" on a real PostgreSQL, as Grafana's role: it answers what its panel draws, and what query-api says."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from psycopg import errors

from .conftest import PRODUCTS_SHOWN, Grafana, Shop, shop_panels
from .macros import Range
from .rules import Json

pytestmark = pytest.mark.integration

SAMPLE_BEGINS = datetime(2024, 1, 1, tzinfo=UTC)
TITLES = [panel["title"] for panel in shop_panels()]
OVER_THE_RANGE = [panel["title"] for panel in shop_panels() if "$__time" in panel["targets"][0]["rawSql"]]
BY_DEFINITION = frozenset(
    {"conversion_rate_from_previous", "conversion_rate_from_start"}
)  # 100 for the first stage
PAGE_ROWS = 500
LONGEST_QUESTION = "30s"


def everything() -> Range:
    """The default range of the dashboard."""
    return Range(SAMPLE_BEGINS, datetime.now(UTC) + timedelta(seconds=1))


def panel(title: str) -> Json:
    return next(each for each in shop_panels() if each["title"] == title)


def named_columns(found: Json) -> set[str]:
    """The columns that a panel's field options, axis and reduction are about."""
    names = {
        each["matcher"]["options"]
        for each in found["fieldConfig"]["overrides"]
        if each["matcher"]["id"] == "byName"
    }
    drawn = found["options"].get("reduceOptions", {}).get("fields", "").strip("/^$")
    return {name for name in (*names, found["options"].get("xField"), drawn) if name}


@pytest.mark.parametrize("title", TITLES)
def test_question_answers_the_columns_that_its_panel_draws(grafana: Grafana, title: str) -> None:
    found = panel(title)
    (target,) = found["targets"]
    rows = grafana.rows(target["rawSql"], everything())
    columns = grafana.columns(target["rawSql"], everything())
    assert rows
    assert named_columns(found) <= set(columns)
    if target["format"] == "time_series":
        moments = [row["time"] for row in rows]
        assert columns[0] == "time"
        assert moments == sorted(moments)
        assert all(moment.tzinfo for moment in moments)
    if found["type"] == "stat":
        (number,) = rows[0].values()
        assert isinstance(number, int | Decimal)


@pytest.mark.parametrize("title", OVER_THE_RANGE)
def test_question_about_a_range_without_anything_counts_nothing(grafana: Grafana, title: str) -> None:
    empty = Range(datetime(2001, 1, 1, tzinfo=UTC), datetime(2001, 1, 2, tzinfo=UTC))
    rows = grafana.panel(title, empty)
    counts = [number for row in rows for name, number in row.items() if name not in BY_DEFINITION]
    assert [number for number in counts if isinstance(number, int | Decimal) and number] == []


def shop_day(shop: Shop, moment: datetime) -> date:
    return moment.astimezone(shop.zone).date()


def days_of(shop: Shop, shown: Range) -> dict[str, date]:
    return {"from": shop_day(shop, shown.first), "to": shop_day(shop, shown.last)}


def part_of_the_sample() -> Range:
    """Begins and ends in the midst of a day of either zone, with an order of that day before and after."""
    return Range(datetime(2024, 1, 13, 13, 0, tzinfo=UTC), datetime(2024, 1, 20, 8, 0, tzinfo=UTC))


@pytest.fixture(params=["everything", "part of the sample"])
def shown(request: pytest.FixtureRequest) -> Range:
    return everything() if request.param == "everything" else part_of_the_sample()


async def test_revenue_by_day_is_the_apis_and_lies_on_the_days_of_the_shop(shop: Shop, shown: Range) -> None:
    answer = (await shop.api("/metrics/daily-revenue", **days_of(shop, shown)))["daily_revenue"]
    drawn = shop.panel("Revenue by day", shown)
    assert [(row["time"].astimezone(UTC).isoformat(), row["revenue"]) for row in drawn] == [
        (f"{day['order_day']}T00:00:00+00:00", Decimal(day["daily_revenue"])) for day in reversed(answer)
    ]
    assert len(drawn) >= 3


async def test_sums_and_averages_are_those_of_the_apis_days(shop: Shop, shown: Range) -> None:
    days = (await shop.api("/metrics/daily-revenue", **days_of(shop, shown)))["daily_revenue"]
    revenue = sum(Decimal(day["daily_revenue"]) for day in days)
    orders = sum(day["total_orders"] for day in days)
    months: Counter[str] = Counter()
    for day in days:
        months[day["order_day"][:7]] += Decimal(day["daily_revenue"])  # type: ignore[assignment]
    assert shop.panel("Revenue", shown) == [{"revenue": revenue}]
    assert shop.panel("Average order", shown) == [{"average": round(revenue / orders, 2)}]
    assert {row["month"]: row["revenue"] for row in shop.panel("Revenue by month", shown)} == dict(months)


async def test_today_and_yesterday_are_the_apis(shop: Shop) -> None:
    for days_back, title in enumerate(("Revenue today", "Revenue yesterday")):
        day = shop.day(days_back)
        (answer,) = (await shop.api("/metrics/daily-revenue", **{"from": day, "to": day}))["daily_revenue"]
        assert shop.panel(title, everything()) == [{"revenue": Decimal(answer["daily_revenue"])}]
        if not days_back:
            assert shop.panel("Paid orders today", everything()) == [{"orders": answer["total_orders"]}]


async def _orders(shop: Shop) -> list[Json]:
    page = await shop.api("/orders", limit=PAGE_ROWS)
    found: list[Json] = page["orders"]
    assert page["next_cursor"] is None
    return found


async def test_orders_by_status_and_day_are_the_apis_orders(shop: Shop, shown: Range) -> None:
    first, last = days_of(shop, shown).values()
    orders = [
        (
            shop_day(shop, datetime.fromisoformat(each["order_date"])),
            each["status"],
            Decimal(each["total_amount"]),
        )
        for each in await _orders(shop)
    ]
    inside = [each for each in orders if first <= each[0] <= last]
    by_status = {
        row["status"]: (row["orders"], row["amount"]) for row in shop.panel("Orders by status", shown)
    }
    assert by_status == {
        status: (
            sum(1 for each in inside if each[1] == status),
            sum(each[2] for each in inside if each[1] == status),
        )
        for status in {each[1] for each in inside}
    }
    by_day = Counter(each[:2] for each in inside)
    for row in shop.panel("Orders by day and status", shown):
        day = row.pop("time").astimezone(UTC).date()
        assert {status: count for status, count in row.items() if count} == {
            status: by_day.pop((day, status)) for status in row if (day, status) in by_day
        }
    assert not by_day


async def test_top_products_are_the_apis(shop: Shop, shown: Range) -> None:
    first, last = days_of(shop, shown).values()
    asked = {"days": min((last - first).days + 1, 3_650), "limit": PRODUCTS_SHOWN, "as_of": last}
    answer = (await shop.api("/products/top", **asked))["top_products"]
    drawn = shop.panel("Top products", shown)
    assert drawn == [{name: _exact(each[name]) for name in drawn[0]} for each in answer]


def _exact(value: Any) -> Any:
    return Decimal(value) if isinstance(value, int | Decimal) else value


async def test_funnel_is_the_apis(shop: Shop, shown: Range) -> None:
    answer = (await shop.api("/metrics/funnel", **days_of(shop, shown)))["funnel"]
    assert shop.panel("Order funnel", shown) == answer
    assert answer[0]["count"] > 0


async def test_retention_is_the_apis(shop: Shop, shown: Range) -> None:
    answer = (await shop.api("/metrics/retention", **days_of(shop, shown)))["retention"]
    assert shop.panel("Came back on day 7", shown) == answer


async def test_freshness_is_the_apis(shop: Shop) -> None:
    topics = (await shop.api("/freshness"))["topics"]
    drawn = shop.panel("Freshness by topic", everything())
    told = ("topic", "status", "lag_records", "waiting", "parked", "quarantined")
    assert [[row[name] for name in told] for row in drawn] == [
        [each[name] for name in told] for each in topics
    ]
    records = [each for each in topics if each["topic"] != "shop.files.v1"]
    assert shop.panel("Waiting", everything()) == [{"waiting": sum(each["waiting"] for each in records)}]
    assert shop.panel("Stopped partitions", everything()) == [
        {"stopped": sum(len(each["stopped"]) for each in topics)}
    ]
    (behind,) = shop.panel("Behind by", everything())
    assert (
        behind["lag_seconds"] >= 120
    )  # the one partition with records left was last stored out of two minutes ago
    (through,) = shop.panel("Complete through", everything())
    oldest = min(datetime.fromisoformat(each["complete_through"]) for each in records)
    assert abs(through["complete_through"] / 1_000 - Decimal(oldest.timestamp())) < 1


async def test_quarantine_and_files_are_the_apis(shop: Shop) -> None:
    counts = (await shop.api("/quarantine"))["counts"]
    drawn = shop.panel("Quarantine by reason", everything())
    assert {row["reason"]: row["entries"] for row in drawn} == counts
    assert shop.panel("Open quarantine", everything()) == [{"entries": sum(counts.values())}]
    jobs = (await shop.api("/jobs"))["jobs"]
    told = ("file_name", "status", "rows", "loaded", "rejected", "parked")
    files = shop.panel("Newest files", everything())
    assert [[row[name] for name in told] for row in files] == [[each[name] for name in told] for each in jobs]
    unfinished = (await shop.api("/freshness"))["unfinished_files"]
    assert shop.panel("Unfinished files", everything()) == [{"unfinished_files": unfinished}]


def test_a_day_of_the_shop_is_not_a_day_of_utc(grafana: Grafana) -> None:
    late = datetime(2024, 1, 18, 11, 55, 8, tzinfo=UTC)  # order 1016; in Auckland it is the 19th
    drawn = [row["time"].astimezone(UTC).date() for row in grafana.panel("Revenue by day", Range(late, late))]
    assert drawn == [date(2024, 1, 18 if grafana.zone == ZoneInfo("UTC") else 19)]


def _words(rows: Iterable[dict[str, Any]]) -> str:
    return " ".join(str(value) for row in rows for value in row.values())


def test_no_panel_shows_who_the_customers_are(grafana: Grafana) -> None:
    shown_words = [_words(grafana.rows(each["targets"][0]["rawSql"], everything())) for each in shop_panels()]
    assert [words for words in shown_words if "@" in words or "Alice" in words or "Ada" in words] == []


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM shop.orders", "UPDATE api.settings SET value = 'UTC'", "CREATE TABLE api.mine (x int)", "SELECT name FROM shop.users"],
)  # fmt: skip
def test_a_question_that_writes_or_reads_tables_is_refused(grafana: Grafana, statement: str) -> None:
    with pytest.raises((errors.ReadOnlySqlTransaction, errors.InsufficientPrivilege)):
        grafana.connection.execute(statement.encode())


def test_a_question_that_takes_too_long_is_ended_by_postgresql(grafana: Grafana) -> None:
    row = grafana.connection.execute("SELECT current_setting('statement_timeout') AS longest").fetchone()
    assert row == {"longest": LONGEST_QUESTION}
