"""An imaginary shop: visits go on side by side, and each step of one is a record to send.

The shop never sleeps and never sends; whoever drives it asks for one record after the other. All choices come from the given
`Random`, so that a seed gives the same story again; only times and ids differ, because they belong to the moment of the run.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

from tillstream.clock import Clock
from tillstream.contracts.entities import Entity

FIRST_CUSTOMERS = 5
# Beyond this many customers a new one takes the place of an old one in the memory of the demo.
MAX_CUSTOMERS = 10_000
NEW_CUSTOMER_SHARE = 0.08
MOST_VIEWS = 6
CART_SHARE = 0.4
BUY_SHARE = 0.55
MOST_UNITS = 3
PAID_SHARE = 0.9
SHIPPED_SHARE = 0.8
BAD_EVENT_SHARE = 0.01
_MILLISECONDS_PER_SECOND = 1000

type Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One record and what it is."""

    entity: Entity
    record: Record


@dataclass(frozen=True, slots=True)
class Product:
    """What the demo sells; its ids stay clear of those of the sample shop."""

    product_id: int
    name: str
    category: str
    price: Decimal


CATALOGUE = (
    Product(101, "Travel Kettle", "Kitchen", Decimal("39.95")),
    Product(102, "Bread Knife", "Kitchen", Decimal("27.50")),
    Product(103, "Tea Glasses, set of 6", "Kitchen", Decimal("18.00")),
    Product(104, "USB-C Dock", "Electronics", Decimal("149.00")),
    Product(105, "Portable Speaker", "Electronics", Decimal("79.90")),
    Product(106, "E-Reader 7", "Electronics", Decimal("169.99")),
    Product(107, "Reading Light", "Home", Decimal("24.90")),
    Product(108, "Linen Bedding", "Home", Decimal("119.00")),
    Product(109, "Cycling Gloves", "Sports", Decimal("29.99")),
    Product(110, "Two-Person Tent", "Sports", Decimal("219.00")),
    Product(111, "Atlas of the Night Sky", "Books", Decimal("42.00")),
    Product(112, "A Short History of Salt", "Books", Decimal("16.80")),
)
FIRST_NAMES = ("Amal", "Bea", "Chen", "Dora", "Emil", "Femi", "Gita", "Hugo", "Ines", "Jonas", "Kira", "Liam")
LAST_NAMES = ("Abebe", "Berg", "Costa", "Dimov", "Eriksen", "Fischer", "Garcia", "Hoang", "Ito", "Jansen")
# What a broken client sends: each takes a good event and spoils one field of it.
BAD_FIELDS: tuple[Record, ...] = (
    {"event_type": "page_veiw"},
    {"event_timestamp": "yesterday"},
    {"user_id": 0},
    {"product_id": "the blue one"},
    {"colour": "blue"},
)


class Shop:
    """Makes the next record of one of `crowd` visits that go on at the same time."""

    def __init__(self, chance: Random, clock: Clock, crowd: int) -> None:
        self._chance = chance
        self._clock = clock
        # Ids that no earlier run had: milliseconds since 1970, and on from there.
        self._run = int(clock.now().timestamp() * _MILLISECONDS_PER_SECOND)
        self._next_user = self._next_order = self._run
        self._next_event = 1
        self._customers: list[int] = []
        self._visits: list[Iterator[Step]] = [self._visit() for _ in range(max(crowd, 1))]

    def opening(self) -> list[Step]:
        """What must be there before anybody can buy: the catalogue and the first customers."""
        return [self._product(product) for product in CATALOGUE] + [
            self._customer() for _ in range(FIRST_CUSTOMERS)
        ]

    def next_step(self) -> Step:
        """The next record of any visit; a visit that is over makes room for a new one."""
        place = self._chance.randrange(len(self._visits))
        while (step := next(self._visits[place], None)) is None:
            self._visits[place] = self._visit()
        return step

    def _visit(self) -> Iterator[Step]:
        if not self._customers or self._chance.random() < NEW_CUSTOMER_SHARE:
            yield self._customer()
        user_id = self._chance.choice(self._customers)
        cart: dict[Product, int] = {}
        for _ in range(self._chance.randint(1, MOST_VIEWS)):
            product = self._chance.choice(CATALOGUE)
            yield self._event(user_id, "page_view", product)
            if product not in cart and self._chance.random() < CART_SHARE:
                cart[product] = self._chance.randint(1, MOST_UNITS)
                yield self._event(user_id, "add_to_cart", product)
        if cart and self._chance.random() < BUY_SHARE:
            yield from self._purchase(user_id, cart)

    def _purchase(self, user_id: int, cart: dict[Product, int]) -> Iterator[Step]:
        order_id, self._next_order = self._next_order, self._next_order + 1
        order: Record = {
            "order_id": order_id,
            "user_id": user_id,
            "order_date": self._now(),
            "total_amount": sum(product.price * quantity for product, quantity in cart.items()),
            "items": [
                {
                    "order_item_id": number,
                    "order_id": order_id,
                    "product_id": product.product_id,
                    "quantity": quantity,
                    "unit_price": product.price,
                }
                for number, (product, quantity) in enumerate(cart.items(), start=1)
            ],
        }
        yield self._order(order, "pending")
        for product in cart:
            yield self._event(user_id, "purchase", product)
        if self._chance.random() < PAID_SHARE:
            yield self._order(order, "paid")
            yield self._order(order, "shipped" if self._chance.random() < SHIPPED_SHARE else "cancelled")
        else:
            yield self._order(order, "cancelled")

    def _order(self, order: Record, status: str) -> Step:
        return Step(Entity.ORDER, {**order, "status": status, "updated_at": self._now()})

    def _event(self, user_id: int, event_type: str, product: Product) -> Step:
        number, self._next_event = self._next_event, self._next_event + 1
        event: Record = {
            "event_id": f"demo-{self._run}-{number}",
            "user_id": user_id,
            "event_type": event_type,
            "product_id": product.product_id,
            "event_timestamp": self._now(),
        }
        if self._chance.random() < BAD_EVENT_SHARE:
            event |= self._chance.choice(BAD_FIELDS)
        return Step(Entity.EVENT, event)

    def _customer(self) -> Step:
        user_id, self._next_user = self._next_user, self._next_user + 1
        if len(self._customers) < MAX_CUSTOMERS:
            self._customers.append(user_id)
        else:
            self._customers[self._chance.randrange(MAX_CUSTOMERS)] = user_id
        first, last = self._chance.choice(FIRST_NAMES), self._chance.choice(LAST_NAMES)
        return Step(
            Entity.USER,
            {
                "user_id": user_id,
                "name": f"{first} {last}",
                "email": f"{first}.{last}.{user_id}@example.com".lower(),
                "signup_date": self._now(),
            },
        )

    def _product(self, product: Product) -> Step:
        return Step(
            Entity.PRODUCT,
            {
                "product_id": product.product_id,
                "product_name": product.name,
                "category": product.category,
                "price": product.price,
            },
        )

    def _now(self) -> str:
        return self._clock.now().isoformat()
