from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from zoneinfo import ZoneInfo

import pytest

from tillstream.contracts import records
from tillstream.contracts.entities import Entity
from tillstream.contracts.messages import Refusal
from tillstream.contracts.parsing import parse_json
from tillstream.contracts.rules import Rules
from tillstream.demo.shop import BAD_EVENT_SHARE, CATALOGUE, Shop, Step
from tillstream.demo.stream import encode

pytestmark = pytest.mark.unit

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
STEPS = 5_000


class TickingClock:
    """A millisecond passes each time somebody looks."""

    def __init__(self) -> None:
        self._now = START

    def now(self) -> datetime:
        self._now += timedelta(milliseconds=1)
        return self._now

    def monotonic(self) -> float:
        return (self._now - START).total_seconds()


def tell(seed: int, steps: int = STEPS) -> list[Step]:
    shop = Shop(Random(seed), TickingClock(), crowd=20)  # noqa: S311 - a story, not a secret
    return shop.opening() + [shop.next_step() for _ in range(steps)]


def test_the_contracts_accept_everything_but_the_spoiled_events() -> None:
    rules = Rules(accepted_at=START + timedelta(hours=1), shop_timezone=ZoneInfo("UTC"))
    refused = []
    for step in tell(1):
        [item] = parse_json(encode([step.record]))
        if isinstance(records.check(step.entity, item, rules), Refusal):
            refused.append(step)
    assert {step.entity for step in refused} == {Entity.EVENT}
    assert 0 < len(refused) < 3 * BAD_EVENT_SHARE * STEPS


def test_orders_begin_pending_and_end_shipped_or_cancelled() -> None:
    stories: defaultdict[int, list[str]] = defaultdict(list)
    for step in tell(2):
        if step.entity is Entity.ORDER:
            stories[step.record["order_id"]].append(step.record["status"])
    told = {tuple(story) for story in stories.values()}
    whole = [("pending", "paid", "shipped"), ("pending", "paid", "cancelled"), ("pending", "cancelled")]
    assert set(whole) <= told
    assert all(any(story == end[: len(story)] for end in whole) for story in told)


def test_each_status_of_an_order_is_newer_than_the_one_before() -> None:
    moments: defaultdict[int, list[str]] = defaultdict(list)
    for step in tell(3):
        if step.entity is Entity.ORDER:
            moments[step.record["order_id"]].append(step.record["updated_at"])
    assert all(sorted(set(times)) == times for times in moments.values())


def test_totals_are_the_sums_of_their_items() -> None:
    prices = {product.product_id: product.price for product in CATALOGUE}
    orders = [step.record for step in tell(4) if step.entity is Entity.ORDER]
    assert orders
    for order in orders:
        assert order["total_amount"] == sum(
            (prices[item["product_id"]] * item["quantity"] for item in order["items"]), Decimal(0)
        )


def test_nobody_acts_before_having_signed_up() -> None:
    known = set()
    for step in tell(5):
        if step.entity is Entity.USER:
            known.add(step.record["user_id"])
        elif step.entity is Entity.ORDER:
            assert step.record["user_id"] in known


def test_a_seed_tells_the_same_story_and_another_seed_another_one() -> None:
    assert tell(6, 300) == tell(6, 300)
    assert tell(6, 300) != tell(7, 300)


def test_no_event_id_and_no_order_id_stands_for_two_things() -> None:
    steps = tell(8)
    events = [step.record["event_id"] for step in steps if step.entity is Entity.EVENT]
    assert len(set(events)) == len(events)
    owners: defaultdict[int, set[int]] = defaultdict(set)
    for step in steps:
        if step.entity is Entity.ORDER:
            owners[step.record["order_id"]].add(step.record["user_id"])
    assert all(len(users) == 1 for users in owners.values())
