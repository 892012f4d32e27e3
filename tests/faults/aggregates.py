"""C4: every aggregate that query-api answers, against a recount of the ledger's own model."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import httpx2

from faults.goods import DAYS, FIRST_DAY
from faults.model import Model

SAMPLED_USERS = 60
MOST_ORDERS = 500
STAGES = ("page_view", "add_to_cart", "purchase")
FIRST, LAST = FIRST_DAY.date(), FIRST_DAY.date() + timedelta(days=DAYS - 1)

type Answer = list[dict[str, Any]]


async def check_aggregates(http: httpx2.AsyncClient, model: Model, random: Random) -> list[str]:
    """What is wrong with the answers."""
    whole = {"from": str(FIRST), "to": str(LAST)}
    look_back = {"days": DAYS, "limit": 100, "as_of": str(LAST)}
    problems = [
        *_compare("daily revenue", await _ask(http, "/metrics/daily-revenue", whole), _revenue(model)),
        *_compare("top products", await _ask(http, "/products/top", look_back), _top(model)),
        *_compare("retention", await _ask(http, "/metrics/retention", whole), _retention(model)),
        *_compare("funnel", await _ask(http, "/metrics/funnel", whole), _funnel(model)),
    ]
    by_user: dict[int, set[int]] = defaultdict(set)
    for order_id, order in model.orders.items():
        by_user[order["user_id"]].add(order_id)
    for user_id in random.sample(sorted(by_user), min(SAMPLED_USERS, len(by_user))):
        found = await _ask(http, "/orders", {"user_id": user_id, "limit": MOST_ORDERS})
        if {order["order_id"] for order in found} != by_user[user_id] or len(found) != len(by_user[user_id]):
            problems.append(f"orders of user {user_id}: {len(found)} answered, {len(by_user[user_id])} sent")
    return problems


async def _ask(http: httpx2.AsyncClient, path: str, parameters: dict[str, Any]) -> Answer:
    """The rows of an answer, with amounts as exact as they came."""
    response = await http.get(path, params=parameters)
    assert response.status_code == 200, f"{path}: {response.text}"
    answer = json.loads(response.text, parse_float=Decimal)
    [rows] = [value for name, value in answer.items() if name not in {"freshness", "next_cursor"}]
    found: Answer = rows
    return found


def _compare(name: str, found: Answer, expected: Answer) -> Iterator[str]:
    if len(found) != len(expected):
        yield f"{name}: {len(found)} rows answered, {len(expected)} recounted"
    for row, wanted in zip(found, expected, strict=False):
        differing = {key: (row[key], value) for key, value in wanted.items() if row[key] != value}
        if differing:
            yield f"{name}: {differing} (answered, recounted) in {row}"


def _revenue(model: Model) -> Answer:
    sums: dict[date, Decimal] = defaultdict(Decimal)
    counts: Counter[date] = Counter()
    for order in model.orders.values():
        if order["status"] == "paid":
            day = _day(order["order_date"])
            sums[day] += Decimal(order["total_amount"])
            counts[day] += 1
    return [
        {"order_day": str(day), "daily_revenue": sums[day], "total_orders": counts[day]}
        for day in sorted(sums, reverse=True)
    ]


def _top(model: Model) -> Answer:
    units: Counter[int] = Counter()
    revenue: dict[int, Decimal] = defaultdict(Decimal)
    for (order_id, _), item in model.items.items():
        if model.orders[order_id]["status"] == "paid":
            units[item["product_id"]] += item["quantity"]
            revenue[item["product_id"]] += item["quantity"] * Decimal(item["unit_price"])
    return [
        {"product_id": each, "total_units_sold": units[each], "total_revenue": revenue[each]}
        for each in sorted(revenue, key=lambda each: (-revenue[each], each))
    ]


def _retention(model: Model) -> Answer:
    active = {(event["user_id"], _day(event["event_timestamp"])) for event in model.events}
    signups: Counter[date] = Counter()
    returned: Counter[date] = Counter()
    for user_id, user in model.users.items():
        day = _day(user["signup_date"])
        signups[day] += 1
        returned[day] += (user_id, day + timedelta(days=7)) in active
    return [
        {"signup_day": str(day), "total_signups": signups[day], "returned_users": returned[day]}
        for day in sorted(signups, reverse=True)
    ]


def _funnel(model: Model) -> Answer:
    counts = Counter(event["event_type"] for event in model.events)
    return [{"stage": stage, "count": counts[stage]} for stage in STAGES]


def _day(moment: str) -> date:
    return datetime.fromisoformat(moment).date()
