# ruff: noqa: INP001, T201 - a script of its own, which talks to a person
"""Writes data/sample/*.csv: the shop that `make up` loads. The committed files are the truth; this says how they came about.

Run it as `python data/make_samples.py`. It is deterministic: the same files come out, byte for byte. Amounts are whole cents.
"""

import csv
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

SAMPLE_DIR = Path(__file__).parent / "sample"
SEED = 2024
EVENTS_WANTED = 300
LAST_MOMENT = datetime(2024, 12, 31, 23, 59, 59, tzinfo=UTC)
RETENTION_DAYS = 7
OPENING_HOUR = 7
CLOSING_HOUR = 22
# How often a visit without an order puts something into the cart.
CART_SHARE = 0.3

# (id, name, signup day, back on day 7?)
USERS: Sequence[tuple[int, str, str, bool]] = (
    (1, "Alice Martin", "2024-01-10", True),
    (2, "Bruno Costa", "2024-01-10", False),
    (3, "Chiara Rossi", "2024-01-03", True),
    (4, "Daniel Novák", "2024-01-03", False),
    (5, "Elif Kaya", "2024-01-03", True),
    (6, "Farid Haddad", "2024-01-08", True),
    (7, "Grace O'Neill", "2024-03-11", False),
    (8, "Hana Suzuki", "2024-03-11", False),
    (9, "Ivo Petrov", "2024-07-01", True),
    (10, "Júlia Nagy", "2024-07-01", False),
)
EMAILS = ("alice", "bruno", "chiara", "daniel", "elif", "farid", "grace", "hana", "ivo", "julia")
PRODUCTS: Sequence[tuple[int, str, str, int]] = (
    (1, "Laptop Pro 15", "Electronics", 129999),
    (2, "Wireless Mouse", "Electronics", 2999),
    (3, "Mechanical Keyboard", "Electronics", 11900),
    (4, 'Monitor 27" 4K', "Electronics", 39900),
    (5, "Noise-Cancelling Headphones", "Electronics", 24950),
    (6, "Espresso Machine", "Kitchen", 54900),
    (7, "Chef's Knife 20 cm", "Kitchen", 6490),
    (8, "Cast-Iron Pan", "Kitchen", 4500),
    (9, "Trail Running Shoes", "Sports", 12995),
    (10, "Yoga Mat", "Sports", 3450),
    (11, "Insulated Bottle, 750 ml", "Sports", 2499),
    (12, "Desk Lamp", "Home", 5990),
    (13, "Wool Blanket", "Home", 8900),
    (14, "Data Systems, Third Edition", "Books", 4875),
    (15, "The Café Cookbook", "Books", 3200),
)


@dataclass(frozen=True, slots=True)
class Order:
    """One order; `items` are (product, quantity), bought at the list price; `shipping` is in cents."""

    user_id: int
    at: str
    status: str
    items: tuple[tuple[int, int], ...]
    shipping: int = 0

    @property
    def moment(self) -> datetime:
        return datetime.fromisoformat(self.at)


# The shop began with collection at the counter: those orders are numbered from 1001 and end as `paid`.
FIRST_COLLECTED_ID = 1001
COLLECTED: Sequence[Order] = (
    Order(3, "2024-01-03T16:42:30Z", "paid", ((13, 1), (15, 1))),
    Order(5, "2024-01-04T11:11:11Z", "paid", ((5, 1),)),
    Order(4, "2024-01-05T09:15:36Z", "paid", ((1, 1), (3, 1))),
    Order(3, "2024-01-06T10:33:05Z", "paid", ((6, 1),)),
    Order(5, "2024-01-06T15:02:48Z", "paid", ((10, 1), (11, 1))),
    Order(6, "2024-01-08T17:08:17Z", "paid", ((9, 1),)),
    Order(5, "2024-01-09T14:51:22Z", "cancelled", ((4, 1),)),
    Order(3, "2024-01-10T13:45:00Z", "paid", ((14, 1),)),
    Order(2, "2024-01-11T18:40:10Z", "paid", ((8, 1), (15, 2))),
    Order(6, "2024-01-12T12:00:01Z", "paid", ((4, 1), (2, 1))),
    Order(2, "2024-01-13T09:34:26Z", "paid", ((12, 1),)),
    Order(4, "2024-01-13T12:51:27Z", "paid", ((6, 1), (8, 1))),
    Order(3, "2024-01-13T16:59:40Z", "paid", ((2, 2), (3, 1))),
    Order(6, "2024-01-15T18:18:18Z", "paid", ((7, 1),)),
    Order(5, "2024-01-16T15:17:44Z", "paid", ((1, 1), (5, 1))),
    Order(2, "2024-01-18T11:55:08Z", "paid", ((13, 2),)),
    Order(4, "2024-01-19T10:22:52Z", "paid", ((11, 3),)),
)
# Since 20 January it delivers: orders are numbered from 1 and end as `shipped`; only order 1 still waits to be sent.
FIRST_DELIVERED_ID = 1
DELIVERED: Sequence[Order] = (
    Order(1, "2024-01-20T10:30:00Z", "paid", ((1, 1), (2, 1))),
    Order(2, "2024-01-28T18:05:41Z", "shipped", ((8, 1), (7, 1))),
    Order(3, "2024-02-09T20:14:09Z", "shipped", ((11, 2),), shipping=499),
    Order(4, "2024-02-18T16:20:55Z", "cancelled", ((1, 1),)),
    Order(4, "2024-03-02T08:57:20Z", "shipped", ((3, 1), (2, 1))),
    Order(7, "2024-03-16T14:03:27Z", "shipped", ((9, 1), (11, 1))),
    Order(8, "2024-03-22T10:47:45Z", "shipped", ((4, 1),)),
    Order(3, "2024-04-12T17:26:39Z", "shipped", ((12, 2),)),
    Order(5, "2024-05-04T15:51:22Z", "cancelled", ((6, 1), (15, 1))),
    Order(6, "2024-06-01T11:28:54Z", "shipped", ((5, 1),)),
    Order(8, "2024-07-05T16:39:02Z", "shipped", ((10, 2),)),
    Order(9, "2024-07-08T12:24:00Z", "shipped", ((4, 1), (3, 1))),
    Order(7, "2024-07-13T19:21:33Z", "shipped", ((5, 1), (14, 1))),
    Order(10, "2024-08-03T13:13:13Z", "cancelled", ((9, 1),)),
    Order(6, "2024-08-24T10:10:50Z", "shipped", ((6, 1),)),
    Order(10, "2024-09-09T18:48:12Z", "shipped", ((1, 1),)),
    Order(8, "2024-09-21T09:05:59Z", "shipped", ((15, 1), (14, 1)), shipping=499),
    Order(9, "2024-10-05T15:17:44Z", "cancelled", ((4, 2),)),
    Order(3, "2024-10-27T11:36:16Z", "shipped", ((9, 1), (10, 1))),
    Order(5, "2024-11-29T12:51:27Z", "shipped", ((6, 1), (8, 1))),
    Order(7, "2024-12-14T16:06:21Z", "shipped", ((13, 1),)),
    Order(2, "2024-12-23T20:29:31Z", "pending", ((2, 1), (12, 1))),
    Order(10, "2024-12-30T17:45:35Z", "pending", ((6, 1),)),
    Order(4, "2024-12-31T09:30:10Z", "pending", ((5, 1), (2, 1))),
)
ORDERS: Sequence[tuple[int, Order]] = (
    *enumerate(DELIVERED, start=FIRST_DELIVERED_ID),
    *enumerate(COLLECTED, start=FIRST_COLLECTED_ID),
)

type Row = tuple[object, ...]
type Event = tuple[datetime, int, str, int]


def money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def write(name: str, header: Sequence[str], rows: Iterable[Row]) -> None:
    with (SAMPLE_DIR / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def order_rows() -> tuple[list[Row], list[Row]]:
    """The rows of orders.csv and of order_items.csv."""
    price_of = {product_id: price for product_id, _, _, price in PRODUCTS}
    orders: list[Row] = []
    items: list[Row] = []
    for order_id, order in ORDERS:
        total = order.shipping
        for product_id, quantity in order.items:
            price = price_of[product_id]
            total += price * quantity
            items.append((len(items) + 1, order_id, product_id, quantity, money(price)))
        orders.append((order_id, order.user_id, stamp(order.moment), order.status, money(total)))
    return orders, items


class Visits:
    """Makes events that fit the orders and the days on which users come back."""

    def __init__(self, chance: random.Random) -> None:
        self.events: list[Event] = []
        self._chance = chance
        self._signup = {user_id: date.fromisoformat(day) for user_id, _, day, _ in USERS}

    def bought(self, order: Order) -> None:
        """Views and cart before an order, one purchase at its moment."""
        at = order.moment
        for product_id, _ in reversed(order.items):
            at -= timedelta(seconds=self._chance.randint(15, 120))
            self.events.append((at, order.user_id, "add_to_cart", product_id))
            at -= timedelta(seconds=self._chance.randint(20, 400))
            self.events.append((at, order.user_id, "page_view", product_id))
        self.events.append((order.moment, order.user_id, "purchase", order.items[0][0]))

    def browsed(self, user_id: int, day: date, views: int) -> None:
        """Some views, sometimes something left in the cart."""
        at = self._moment(day)
        for _ in range(views):
            product_id = self._chance.randint(1, len(PRODUCTS))
            self.events.append((at, user_id, "page_view", product_id))
            at += timedelta(seconds=self._chance.randint(10, 300))
            if self._chance.random() < CART_SHARE:
                self.events.append((at, user_id, "add_to_cart", product_id))
                at += timedelta(seconds=self._chance.randint(5, 90))

    def any_day(self, user_id: int) -> date:
        """A day on which the user may come without being counted as back on day 7."""
        first = self._signup[user_id]
        day_7 = first + timedelta(days=RETENTION_DAYS)
        span = (LAST_MOMENT.date() - first).days
        while (day := first + timedelta(days=self._chance.randint(0, span))) == day_7:
            pass
        return day

    def _moment(self, day: date) -> datetime:
        hour = self._chance.randint(OPENING_HOUR, CLOSING_HOUR)
        return datetime.combine(
            day, time(hour, self._chance.randint(0, 59), self._chance.randint(0, 59)), UTC
        )


def event_rows() -> list[Row]:
    visits = Visits(random.Random(SEED))  # noqa: S311 - sample data, not secrets
    for _, order in ORDERS:
        visits.bought(order)
    for user_id, _, signup, returns in USERS:
        visits.browsed(user_id, date.fromisoformat(signup), 3)
        if returns:
            visits.browsed(user_id, date.fromisoformat(signup) + timedelta(days=RETENTION_DAYS), 2)
    user_id = 0
    while len(visits.events) < EVENTS_WANTED:
        user_id = user_id % len(USERS) + 1
        visits.browsed(user_id, visits.any_day(user_id), 2)
    del visits.events[EVENTS_WANTED:]
    visits.events.sort()
    return [
        (number, user_id, event_type, product_id, stamp(at))
        for number, (at, user_id, event_type, product_id) in enumerate(visits.events, start=1)
    ]


def main() -> None:
    SAMPLE_DIR.mkdir(parents=True, exist_ok=True)
    orders, items = order_rows()
    write(
        "users.csv",
        ("user_id", "name", "email", "signup_date"),
        [
            (user_id, name, f"{local}@example.com", signup)
            for (user_id, name, signup, _), local in zip(USERS, EMAILS, strict=True)
        ],
    )
    write(
        "products.csv",
        ("product_id", "product_name", "category", "price"),
        [(product_id, name, category, money(price)) for product_id, name, category, price in PRODUCTS],
    )
    write("orders.csv", ("order_id", "user_id", "order_date", "status", "total_amount"), orders)
    write("order_items.csv", ("order_item_id", "order_id", "product_id", "quantity", "unit_price"), items)
    write("events.csv", ("event_id", "user_id", "event_type", "product_id", "event_timestamp"), event_rows())
    print(
        f"{len(orders)} orders with {len(items)} items and {EVENTS_WANTED} events are in {SAMPLE_DIR.name}/."
    )


if __name__ == "__main__":
    main()
