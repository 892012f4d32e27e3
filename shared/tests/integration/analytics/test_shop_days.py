"""Which day a moment belongs to, in zones where that is easy to get wrong. All bounds were worked out by hand."""

import pytest

from .conftest import OpenShop

pytestmark = pytest.mark.integration

# zone, day, its first moment and that of the next day, both in UTC
DAYS = [
    ("UTC", "2024-05-01", "2024-05-01T00:00Z", "2024-05-02T00:00Z"),
    # Berlin is at +01:00, from 02:00 on 31 March at +02:00, from 03:00 on 27 October at +01:00 again.
    ("Europe/Berlin", "2024-03-30", "2024-03-29T23:00Z", "2024-03-30T23:00Z"),
    ("Europe/Berlin", "2024-03-31", "2024-03-30T23:00Z", "2024-03-31T22:00Z"),
    ("Europe/Berlin", "2024-10-27", "2024-10-26T22:00Z", "2024-10-27T23:00Z"),
    # Kathmandu is at +05:45 all year: midnight there is 18:15 of the day before.
    ("Asia/Kathmandu", "2024-05-01", "2024-04-30T18:15Z", "2024-05-01T18:15Z"),
    # In Havana clocks jump from 00:00 (-05:00) to 01:00 (-04:00) on 10 March: that midnight does not exist.
    ("America/Havana", "2024-03-09", "2024-03-09T05:00Z", "2024-03-10T05:00Z"),
    ("America/Havana", "2024-03-10", "2024-03-10T05:00Z", "2024-03-11T04:00Z"),
    # On 3 November they go from 01:00 (-04:00) back to 00:00 (-05:00): that midnight comes twice, at 04:00Z and 05:00Z.
    ("America/Havana", "2024-11-02", "2024-11-02T04:00Z", "2024-11-03T04:00Z"),
    ("America/Havana", "2024-11-03", "2024-11-03T04:00Z", "2024-11-04T05:00Z"),
    # As far from UTC as there are people.
    ("Pacific/Kiritimati", "2024-05-01", "2024-04-30T10:00Z", "2024-05-01T10:00Z"),
    ("Etc/GMT+12", "2024-05-01", "2024-05-01T12:00Z", "2024-05-02T12:00Z"),
]
A_MOMENT = "interval '1 microsecond'"


@pytest.mark.parametrize(("zone", "day", "first", "next_day"), DAYS)
def test_a_day_has_its_first_and_last_moment_and_not_their_neighbours(
    open_shop: OpenShop, zone: str, day: str, first: str, next_day: str
) -> None:
    shop = open_shop(zone)
    shop.rows.user(2, "2020-01-01T00:00Z")
    for number, moment in enumerate((first, next_day)):
        shop.rows.order(10 + number, moment)
        shop.rows.event(2, moment)
        shop.rows.user(10 + number, moment)
    # The same a microsecond earlier: the last moment of the day before, and the last of the day.
    shop.rows.run(
        f"INSERT INTO shop.orders SELECT order_id + 10, user_id, order_date - {A_MOMENT}, status, total_amount, version"
        " FROM shop.orders"
    )
    shop.rows.run(
        "INSERT INTO shop.events (event_id, user_id, event_type, event_timestamp, source, accepted_at)"
        f" SELECT gen_random_uuid(), user_id, event_type, event_timestamp - {A_MOMENT}, source, accepted_at FROM shop.events"
    )
    shop.rows.run(
        "INSERT INTO shop.users (user_id, name, email, signup_date, version)"
        f" SELECT user_id + 10, name, 'x' || email, signup_date - {A_MOMENT}, version FROM shop.users WHERE user_id >= 10"
    )

    assert shop.revenue_days(day, day) == [(day, 2)]
    assert shop.funnel(day, day)[0][:2] == ("page_view", 2)
    assert [row[:2] for row in shop.retention(day, day, day)] == [(day, 2)]


# zone, day, how many hours it has
LENGTHS = [
    ("Europe/Berlin", "2024-03-31", 23),
    ("Europe/Berlin", "2024-10-27", 25),
    ("America/Havana", "2024-03-10", 23),
    ("America/Havana", "2024-11-03", 25),
    ("Asia/Kathmandu", "2024-03-31", 24),
]


@pytest.mark.parametrize(("zone", "day", "hours"), LENGTHS)
def test_a_day_that_clocks_shorten_or_lengthen_has_all_its_hours(
    open_shop: OpenShop, zone: str, day: str, hours: int
) -> None:
    shop = open_shop(zone)
    # An order at half past every hour of the week around the day.
    shop.rows.run(
        "INSERT INTO shop.orders (order_id, user_id, order_date, status, total_amount, version)"
        " SELECT row_number() OVER (), 1, hour + interval '30 minutes', 'paid', 1, ''"
        f" FROM generate_series('{day} 00:00Z'::timestamptz - interval '3 days', '{day} 00:00Z'::timestamptz"
        " + interval '4 days', '1 hour') AS hour"
    )
    assert shop.revenue_days(day, day) == [(day, hours)]


def test_the_last_days_of_top_products_are_shop_days(open_shop: OpenShop) -> None:
    shop = open_shop("Asia/Kathmandu")
    shop.rows.product(1)
    # Two days up to 2 May begin at 18:15Z on 30 April and end at 18:15Z on 2 May.
    moments = ("2024-04-30T18:14:59Z", "2024-04-30T18:15:00Z", "2024-05-02T18:14:59Z", "2024-05-02T18:15:00Z")
    for order_id, moment in enumerate(moments):
        shop.rows.order(1 + order_id, moment, items=[(1, 10**order_id, "1.00")])
    assert shop.top(2, 5, "2024-05-02") == [(1, "110", "110.00")]
