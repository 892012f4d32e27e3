"""C1 to C3: the ledger against the tables and the log. Every check gives the list of what is wrong with it.

C1  every acknowledged id is in exactly one of table, quarantine and parked, and where it belongs; what is refused, with
    its bytes and its reason
C2  nothing is there twice, what was never acknowledged at most once, and nothing else; rows are what the ledger says
C3  the offsets in PostgreSQL are the log's ends, and none ever moved back
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from faults.ledger import Account, Fate, Item
from faults.model import Model, event_row, item_row, order_row, product_row, user_row
from faults.tables import Tables
from faults.verdict import Arrival, Kind, Problem, Verdict, all_of
from tillstream.contracts.entities import Entity
from tillstream.kafka.records import Place

ALLOWED = {
    Fate.TABLE: {"table"},
    Fate.PARKED: {"parked"},
    Fate.CONFLICT: {"conflict"},
    Fate.QUARANTINE: {"quarantine"},
    Fate.RIVAL: {"table", "quarantine"},
}


class Places:
    """Where each id lies: one entry per row that says so."""

    def __init__(self, tables: Tables) -> None:
        self._of: dict[UUID, list[str]] = {}
        for message_id, place in tables.kept:
            self._of.setdefault(message_id, []).append(place)
        self.stored = {message_id for message_id, places in self._of.items() if "table" in places}

    @property
    def ids(self) -> set[UUID]:
        return set(self._of)

    def of(self, item: Item) -> list[str]:
        """A contradiction lies beside the first content of its id; each of the two has its own rows."""
        places = self._of.get(item.message_id, [])
        if item.fate is Fate.CONFLICT:
            return [place for place in places if place == "conflict"]
        return [place for place in places if place != "conflict"]


def check_all(account: Account, model: Model, tables: Tables, ends: Mapping[Place, int]) -> Verdict:
    places = Places(tables)
    verdict = Verdict()
    missing = [item for item in account.acknowledged if not places.of(item)]
    twice = [item for item in account.sent if len(places.of(item)) > 1]
    strangers = places.ids - {item.message_id for item in account.sent}
    verdict.lost = len(missing)
    verdict.doubled = len(twice) + len(strangers)
    verdict.arrivals = list(_arrivals(account, places))
    verdict.problems["C1"] = all_of(Kind.LOST, (f"nowhere: {_told(item)}" for item in missing))
    verdict.problems["C1"] += [
        *all_of(Kind.MISPLACED, _misplaced(account, places)),
        *all_of(Kind.ALTERED, _altered(account, tables)),
    ]
    verdict.problems["C2"] = [
        *all_of(Kind.DOUBLED, (f"{places.of(item)}: {_told(item)}" for item in twice)),
        *all_of(Kind.UNSENT, (f"from nowhere: {stranger}" for stranger in sorted(strangers))),
        *_rows(account, places, tables, model),
        *all_of(Kind.RIVALS, _rivals(account, places)),
    ]
    verdict.problems["C3"] = list(_offsets(tables, ends))
    return verdict


def _arrivals(account: Account, places: Places) -> Iterator[Arrival]:
    """By entity and fate."""
    acknowledged, arrived = Counter[tuple[Entity, Fate]](), Counter[tuple[Entity, Fate]]()
    for item in account.acknowledged:
        sort = item.entity, item.fate
        acknowledged[sort] += 1
        found = set(places.of(item))
        arrived[sort] += bool(found) and found <= ALLOWED[item.fate]
    for (entity, fate), count in acknowledged.items():
        yield Arrival(entity, fate, count, arrived[entity, fate])


def _misplaced(account: Account, places: Places) -> Iterator[str]:
    for item in account.acknowledged:
        for place in set(places.of(item)) - ALLOWED[item.fate]:
            yield f"in {place}: {_told(item)}"


def _altered(account: Account, tables: Tables) -> Iterator[str]:
    """What is refused is kept byte for byte, and for the right reason."""
    for item in account.acknowledged:
        wanted = item.content.get("reason"), item.content.get("payload")
        found = tables.refused.get(item.message_id)
        if item.fate is Fate.QUARANTINE and found is not None and found != wanted:
            yield f"kept as {found}, not {wanted}: {_told(item)}"


def _rivals(account: Account, places: Places) -> Iterator[str]:
    """Of two users who want one address, one has it."""
    rivals = [item for item in account.acknowledged if item.fate is Fate.RIVAL]
    wanted = Counter(item.content["email"] for item in rivals)
    held = Counter(item.content["email"] for item in rivals if places.of(item) == ["table"])
    yield from (f"{email} has {held[email]} holders" for email in wanted if held[email] != 1)


def _rows(account: Account, places: Places, tables: Tables, model: Model) -> Iterator[Problem]:
    """The tables' rows are those that the ledger adds up to."""
    events = {
        item.message_id: event_row(item.content)
        for item in account.sent
        if item.entity is Entity.EVENT and item.fate is Fate.TABLE and item.message_id in places.stored
    }
    yield from _differences("event", tables.events, events)
    yield from _differences("user", tables.users, {key: user_row(row) for key, row in model.users.items()})
    yield from _differences(
        "product", tables.products, {key: product_row(row) for key, row in model.products.items()}
    )
    yield from _differences(
        "order", tables.orders, {key: order_row(row) for key, row in model.orders.items()}
    )
    yield from _differences("item", tables.items, {key: item_row(row) for key, row in model.items.items()})


def _differences(name: str, found: Mapping[Any, Any], expected: Mapping[Any, Any]) -> Iterator[Problem]:
    for key in found.keys() | expected.keys():
        if found.get(key) != expected.get(key):
            kind = _kind_of(key in found, key in expected)
            yield Problem(kind, f"{name} {key} is {found.get(key)}, not {expected.get(key)}")


def _kind_of(is_found: bool, is_expected: bool) -> Kind:
    if not is_found:
        return Kind.MISSING_ROW
    return Kind.OTHER_ROW if is_expected else Kind.UNSENT


def _offsets(tables: Tables, ends: Mapping[Place, int]) -> Iterator[Problem]:
    for place, end in sorted(ends.items()):
        if tables.offsets.get(place, 0) != end:
            told = f"{place} is at {tables.offsets.get(place)}, the log ends at {end}"
            yield Problem(Kind.BEHIND, told)
    for topic, partition, was, became in tables.moved_back:
        yield Problem(Kind.MOVED_BACK, f"{topic}[{partition}] moved back from {was} to {became}")


def _told(item: Item) -> str:
    return f"{item.entity} {item.message_id} ({item.fate})"
