"""What is dropped, and what must become of it: worked out from the bytes alone, by other code than the loader's."""

import csv
import gzip
import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

HEADER = "user_id,name,email,signup_date"
DAY = "2024-01-05"
SIDES = ("loaded", "unchanged", "superseded", "duplicate", "parked", "rejected")
GZIP = b"\x1f\x8b"


def users(first: int, count: int = 7, *, name: str = "Ann", broken: bool = True) -> bytes:
    """A file of users; with a row that breaks its contract and one that repeats a key of an earlier chunk."""
    rows = [
        f"{user_id},{name} {user_id},u{user_id}@example.org,{DAY}" for user_id in range(first, first + count)
    ]
    if broken:
        rows.insert(1, f"{first + count},Bob,bob,{DAY}")
        rows.insert(5, f"{first},Other,other{first}@example.org,{DAY}")
    return "\n".join([HEADER, *rows, ""]).encode()


def packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


@dataclass(frozen=True, slots=True)
class Dropped:
    """A file as its partner gave it.

    `lies` are the bytes in the end, where somebody changed them; None in `folder`: it was deleted. `rows`: so many of them
    count, where not all do. `status`: where it does not follow from the rows.
    """

    name: str
    content: bytes
    status: str | None = None
    folder: str | None = "processed"
    lies: bytes | None = None
    rows: int | None = None

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content if self.lies is None else self.lies).hexdigest()

    def read(self) -> Iterator[tuple[int, dict[str, str]]]:
        """The rows that count, each with its line."""
        text = gzip.decompress(self.content) if self.content.startswith(GZIP) else self.content
        reader = csv.DictReader(io.StringIO(text.decode()))
        found = [(reader.line_num, row) for row in reader]
        yield from found[: self.rows]


@dataclass(slots=True)
class Expected:
    """The end of a sequence of files. `table` has users by id, `changes` the outcomes, `rejected` lines by file."""

    table: dict[int, tuple[str, str]] = field(default_factory=dict)
    statements: list[tuple[str, str, Counter[str]]] = field(default_factory=list)
    rejected: list[tuple[str, int]] = field(default_factory=list)

    @classmethod
    def of(cls, files: Sequence[Dropped]) -> "Expected":
        """Files in the order of their claims: of two rows with one id the one of the later file counts."""
        expected = cls()
        for each in files:
            expected.take(each)
        return expected

    def take(self, file: Dropped) -> None:
        sides, seen = Counter[str](), set[str]()
        for line, row in file.read():
            is_bad = "@" not in row["email"] or row["user_id"] in seen
            seen.add(row["user_id"])
            if is_bad:
                sides["rejected"] += 1
                self.rejected.append((file.name, line))
                continue
            key, values = int(row["user_id"]), (row["name"], row["email"])
            sides["unchanged" if self.table.get(key) == values else "loaded"] += 1
            self.table[key] = values
        status = file.status or ("loaded_with_rejects" if sides["rejected"] else "loaded")
        self.statements.append((file.name, status, sides))
