"""What was sent and what was acknowledged: written down before and after, each line on the disk before anything goes on.

The checks read the file, not the memory of who wrote it.
"""

import asyncio
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from tillstream.contracts.entities import Entity

type Content = Mapping[str, Any]


class Fate(StrEnum):
    """Where an item must end once it is acknowledged."""

    TABLE = "table"
    PARKED = "parked"  # its parent never comes
    # Another content under an id that counts already: kept in quarantine, beside the first.
    CONFLICT = "conflict"
    RIVAL = "rival"  # two users want one address: one is stored, the other quarantined, whichever came first
    REFUSED = "refused"  # breaks its contract: the door says so, and nothing of it goes on
    QUARANTINE = "quarantine"  # broken, and past every door: kept with its bytes and its reason


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a request: the id under which its change travels, what it says, and where it must end."""

    message_id: UUID
    entity: Entity
    content: Content
    fate: Fate = Fate.TABLE

    def as_line(self) -> list[Any]:
        return [str(self.message_id), self.entity, self.content, self.fate]

    @classmethod
    def of_line(cls, line: Sequence[Any]) -> Self:
        message_id, entity, content, fate = line
        return cls(UUID(message_id), Entity(entity), content, Fate(fate))


@dataclass(frozen=True, slots=True)
class Filed:
    """A file that was dropped or sent: its name, which is like no other, its hash, and what its statement must say."""

    name: str
    road: str
    sha256: str
    rows: int
    rejected_lines: Sequence[int]
    parked: int
    duplicate: int

    @property
    def loaded(self) -> int:
        return self.rows - len(self.rejected_lines) - self.parked - self.duplicate


@dataclass(slots=True)
class Sent:
    """A request as the ledger has it; `acknowledged` has positions."""

    items: list[Item]
    acknowledged: set[int] = field(default_factory=set)


class Ledger:
    """Append-only. One request is a line when it is first sent, and a line for each answer that acknowledges something."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("a", encoding="utf-8")
        self._turn = asyncio.Lock()
        self._next = 0

    def close(self) -> None:
        self._file.close()

    async def sent(self, items: Iterable[Item]) -> int:
        """Written before the first attempt; the number of the request."""
        number = self._next
        self._next += 1
        await self._append({"sent": number, "items": [item.as_line() for item in items]})
        return number

    async def acknowledged(self, number: int, positions: Iterable[int]) -> None:
        """The door has said that the broker has these items."""
        await self._append({"acknowledged": number, "positions": sorted(positions)})

    async def dropped(self, filed: Filed) -> None:
        """Written when the file lies in the input folder, whole and under its name, or the door has taken it."""
        await self._append({"dropped": asdict(filed)})

    async def _append(self, entry: Mapping[str, Any]) -> None:
        async with self._turn:
            await asyncio.to_thread(self._write, json.dumps(entry))

    def _write(self, line: str) -> None:
        self._file.write(f"{line}\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def read_ledger(path: Path) -> dict[int, Sent]:
    """Every request that was sent, by its number."""
    requests: dict[int, Sent] = {}
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            if "sent" in entry:
                requests[entry["sent"]] = Sent([Item.of_line(item) for item in entry["items"]])
            elif "acknowledged" in entry:
                requests[entry["acknowledged"]].acknowledged |= set(entry["positions"])
    return requests


def read_files(path: Path) -> list[Filed]:
    """Every file that was dropped or sent."""
    with path.open(encoding="utf-8") as lines:
        entries = (json.loads(line) for line in lines)
        return [Filed(**entry["dropped"]) for entry in entries if "dropped" in entry]


@dataclass(slots=True)
class Account:
    """The ledger, summed up per item: what was acknowledged, and what was sent at all."""

    acknowledged: list[Item]
    unacknowledged: list[Item]

    @property
    def sent(self) -> Iterator[Item]:
        yield from self.acknowledged
        yield from self.unacknowledged


def account_of(requests: Mapping[int, Sent]) -> Account:
    """Items that were sent in several requests count once, and as acknowledged if any of them was."""
    acknowledged: dict[tuple[UUID, bool], Item] = {}
    rest: dict[tuple[UUID, bool], Item] = {}
    for request in requests.values():
        for position, item in enumerate(request.items):
            if item.fate is not Fate.REFUSED:
                key = item.message_id, item.fate is Fate.CONFLICT
                (acknowledged if position in request.acknowledged else rest)[key] = item
    unacknowledged = [item for key, item in rest.items() if key not in acknowledged]
    return Account(list(acknowledged.values()), unacknowledged)
