"""What the corpus is made of: files with one oddity each, and the statement that each must end with.

The files stand in the modules `corpus_…`, bytes as they are. Every one is loaded into a shop of its own that knows the users
1 and 2, the product 1 and the order 1 where the oddity needs them (`seeded`), claimed at CLAIMED_AT.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from tillstream.csv.encoding import Encoding

# So many claims come before that of the file, each a second after the one before; see `Shop.claim`.
CLAIMS_BEFORE = 9
CLAIMED_AT = datetime(2026, 3, 1, 12, 0, CLAIMS_BEFORE + 1, tzinfo=UTC)

USERS = b"user_id,name,email,signup_date\n"
ANN = b"1,Ann,ann@example.org,2024-01-05\n"
BOB = b"2,Bob,bob@example.org,2024-01-06\n"
PRODUCTS = b"product_id,product_name,category,price\n"
LAMP = b"1,Lamp,Home,9.99\n"
ORDERS = b"order_id,user_id,order_date,status,total_amount\n"
ORDER = b"1,1,2024-02-01T10:00:00Z,paid,19.98\n"
ITEMS = b"order_item_id,order_id,product_id,quantity,unit_price\n"
EVENTS = b"event_id,user_id,event_type,product_id,event_timestamp\n"

A_FILE_OF_USERS = "a file of users has 'user_id', 'name', 'email', 'signup_date' and perhaps 'updated_at'"
_NO_NAME = "unknown_header: its first line has none of the known column names"
HEADLESS = f"{_NO_NAME}; a file begins with those of users, products, orders, order items or events"
HEADLESS_USERS = f"{_NO_NAME}; {A_FILE_OF_USERS}"

SEEDS = (
    ("users.csv", USERS + ANN + BOB),
    ("products.csv", PRODUCTS + LAMP),
    ("orders.csv", ORDERS + ORDER),
)


@dataclass(frozen=True)
class Ending:
    """A statement. `rejects` has the reason of each refused line; `error` is the whole sentence of a failed file."""

    loaded: int = 0
    unchanged: int = 0
    superseded: int = 0
    duplicate: int = 0
    parked: int = 0
    rejects: Mapping[int, str] = field(default_factory=dict)
    error: str | None = None
    is_archived: bool = False

    @property
    def status(self) -> str:
        if self.is_archived:
            return "archived"
        if self.error is not None:
            return "failed"
        return "loaded_with_rejects" if self.rejects else "loaded"

    @property
    def statement(self) -> dict[str, object]:
        """The columns of `file_jobs` that must be so."""
        sides = {
            "loaded": self.loaded,
            "unchanged": self.unchanged,
            "superseded": self.superseded,
            "duplicate": self.duplicate,
            "parked": self.parked,
            "rejected": len(self.rejects),
        }
        return {"status": self.status, "rows": sum(sides.values()), **sides, "error": self.error}


@dataclass(frozen=True)
class Oddity:
    """One file. `encoding` is what the statement must say of it and how surely, `texts` what the shop must then hold."""

    title: str
    content: bytes | Callable[[], bytes]
    ending: Ending
    name: str = "drop.csv"
    encoding: str | None = None
    texts: tuple[str, ...] | None = None
    before: tuple[bytes, ...] = ()
    declared: Encoding | None = None
    seeded: bool = False

    @property
    def data(self) -> bytes:
        return self.content if isinstance(self.content, bytes) else self.content()


def ends(
    loaded: int = 0,
    rejects: Mapping[int, str] | None = None,
    *,
    unchanged: int = 0,
    superseded: int = 0,
    duplicate: int = 0,
    parked: int = 0,
) -> Ending:
    return Ending(loaded, unchanged, superseded, duplicate, parked, rejects or {})


def fails(error: str, loaded: int = 0) -> Ending:
    return Ending(loaded, error=error)


def archived(lines: int) -> Ending:
    return Ending(lines, is_archived=True)


def seeded(*oddities: Oddity) -> tuple[Oddity, ...]:
    """The same in a shop that has their parents."""
    return tuple(replace(each, seeded=True) for each in oddities)


def cell(
    title: str, head: bytes, row: bytes, reason: str | None = None, texts: tuple[str, ...] | None = None
) -> Oddity:
    """A file of one row, which loads or is refused for `reason`."""
    return Oddity(title, head + row + b"\n", ends(1) if reason is None else ends(0, {2: reason}), texts=texts)
