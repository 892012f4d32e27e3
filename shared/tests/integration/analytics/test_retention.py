"""Retention D+7 on data whose answers were worked out by hand."""

import pytest

from .conftest import OpenShop, Shop

pytestmark = pytest.mark.integration


def test_users_with_an_event_on_day_seven_have_returned(shop: Shop) -> None:
    # Three signed up on 3 May; 10 May is their day 7. Two come back on it, one of them twice.
    for user_id in (11, 12, 13):
        shop.rows.user(user_id, "2024-05-03T18:00Z")
    shop.rows.event(11, "2024-05-10T00:00Z")
    shop.rows.event(11, "2024-05-10T08:00Z")
    shop.rows.event(12, "2024-05-10T23:59:59Z", "purchase")
    # One signed up on 4 May, whose day 7 is 11 May.
    shop.rows.user(14, "2024-05-04T00:00Z")
    # 2 of 3 is 66.67 %, 0 of 1 is 0.00 %.
    assert shop.retention("2024-05-03", "2024-05-04", "2024-06-01") == [
        ("2024-05-04", 1, 0, "0.00", True),
        ("2024-05-03", 3, 2, "66.67", True),
    ]


def test_the_days_beside_day_seven_do_not_count(shop: Shop) -> None:
    shop.rows.user(11, "2024-05-03T23:59Z")
    for moment in ("2024-05-03T23:59Z", "2024-05-09T23:59:59Z", "2024-05-11T00:00Z"):
        shop.rows.event(11, moment)
    assert shop.retention("2024-05-03", "2024-05-03", "2024-06-01") == [("2024-05-03", 1, 0, "0.00", True)]


def test_the_events_of_others_do_not_count(shop: Shop) -> None:
    shop.rows.user(11, "2024-05-03T12:00Z")
    shop.rows.event(1, "2024-05-10T12:00Z")
    assert shop.retention("2024-05-03", "2024-05-03", "2024-06-01") == [("2024-05-03", 1, 0, "0.00", True)]


@pytest.mark.parametrize(
    ("today", "complete"),
    [("2024-05-03", False), ("2024-05-09", False), ("2024-05-10", False), ("2024-05-11", True)],
)
def test_a_day_is_complete_once_its_day_seven_is_over(shop: Shop, today: str, complete: bool) -> None:
    shop.rows.user(11, "2024-05-03T12:00Z")
    shop.rows.event(11, "2024-05-10T01:00Z")
    assert shop.retention("2024-05-03", "2024-05-03", today) == [("2024-05-03", 1, 1, "100.00", complete)]


def test_both_ends_are_included(shop: Shop) -> None:
    for user_id, day in ((11, "02"), (12, "03"), (13, "05"), (14, "06")):
        shop.rows.user(user_id, f"2024-05-{day}T12:00Z")
    days = [day for day, *_ in shop.retention("2024-05-03", "2024-05-05", "2024-06-01")]
    assert days == ["2024-05-05", "2024-05-03"]


# zone, signup, the first moment of its day 7 and of its day 8, in UTC
WEEKS = [
    # 23:30 on 28 March at +01:00; clocks go forward between; 4 April begins at 22:00Z of the day before.
    ("Europe/Berlin", "2024-03-28T22:30Z", "2024-04-03T22:00Z", "2024-04-04T22:00Z"),
    # 00:30 on 24 October at +02:00; clocks go back between; 31 October begins at 23:00Z of the day before.
    ("Europe/Berlin", "2024-10-23T22:30Z", "2024-10-30T23:00Z", "2024-10-31T23:00Z"),
    # 00:00 on 1 May at +05:45; 8 May begins at 18:15Z of the day before.
    ("Asia/Kathmandu", "2024-04-30T18:15Z", "2024-05-07T18:15Z", "2024-05-08T18:15Z"),
    # Noon on 3 March at -05:00; 10 March has no midnight and begins at 05:00Z; 11 March begins at 04:00Z.
    ("America/Havana", "2024-03-03T17:00Z", "2024-03-10T05:00Z", "2024-03-11T04:00Z"),
]


@pytest.mark.parametrize(("zone", "signup", "first", "after"), WEEKS)
def test_day_seven_is_a_day_of_the_shop(
    open_shop: OpenShop, zone: str, signup: str, first: str, after: str
) -> None:
    shop = open_shop(zone)
    # Two come back in the first and the last second of the day, two in the seconds just outside of it.
    for user_id, moment, shift in ((11, first, 0), (12, after, -1), (13, first, -1), (14, after, 0)):
        shop.rows.user(user_id, signup)
        event_id = shop.rows.event(user_id, moment)
        shop.rows.run(
            f"UPDATE shop.events SET event_timestamp = event_timestamp + interval '{shift} s' WHERE event_id = '{event_id}'"
        )
    [(day, *rest)] = shop.retention("2024-01-01", "2024-12-31", "2025-01-01")[:1]
    assert (day, rest) == (
        str(shop.ask("SELECT api.shop_day(%s::timestamptz)", signup)[0][0]),
        [4, 2, "50.00", True],
    )
