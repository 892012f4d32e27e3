"""The check of the end state turns red for whatever may be wrong at the end."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psycopg
import pytest

from file_faults.dropped import Dropped, users
from file_faults.end_state import check_end
from file_faults.yard import Yard

pytestmark = pytest.mark.fault

FILE = Dropped("users.csv", users(1))


@contextmanager
def lying_twice(yard: Yard) -> Iterator[None]:
    [path] = yard.folders.processed.iterdir()
    other = Path(shutil.copy(path, yard.folders.error))
    yield
    other.unlink()


@contextmanager
def with_another_byte(yard: Yard) -> Iterator[None]:
    [path] = yard.folders.processed.iterdir()
    path.write_bytes(FILE.content + b"\n")
    yield
    path.write_bytes(FILE.content)


@contextmanager
def without_its_rejects(yard: Yard) -> Iterator[None]:
    [path] = yard.folders.invalid.iterdir()
    elsewhere = path.rename(yard.place / "rejects")
    yield
    elsewhere.rename(path)


def changed(statement: str, back: str) -> Callable[[Yard], AbstractContextManager[None]]:
    @contextmanager
    def spoilt(yard: Yard) -> Iterator[None]:
        for each in (statement, back):
            with psycopg.connect(yard.database.superuser_dsn) as conn:
                conn.execute(each.encode())
            if each is statement:
                yield

    return spoilt


SPOILS = {
    "lies twice": lying_twice,
    "has another byte": with_another_byte,
    "has no rejects file": without_its_rejects,
    "another row": changed(
        "UPDATE shop.users SET name = 'Eve' WHERE user_id = 1",
        "UPDATE shop.users SET name = 'Ann 1' WHERE user_id = 1",
    ),
    "a statement of one row less": changed(
        "UPDATE shop.file_jobs SET rows = rows - 1, loaded = loaded - 1",
        "UPDATE shop.file_jobs SET rows = rows + 1, loaded = loaded + 1",
    ),
    "a refused row that is not kept": changed(
        "UPDATE shop.quarantine SET resolved_at = now() WHERE line = 3",
        "UPDATE shop.quarantine SET resolved_at = NULL WHERE line = 3",
    ),
    "a change too many": changed(
        'INSERT INTO shop.changes SELECT (json_populate_record(each, \'{"message_id": "00000000-0000-0000-0000-000000000001"}\')).*'
        " FROM shop.changes AS each WHERE outcome = 'stored' LIMIT 1",
        "DELETE FROM shop.changes WHERE message_id = '00000000-0000-0000-0000-000000000001'",
    ),
}


async def test_whatever_is_wrong_at_the_end_is_found(yard: Yard) -> None:
    yard.start("watcher")
    yard.start("loader")
    yard.drop(FILE.name, FILE.content)
    await check_end(yard, [FILE])
    for name, spoil in SPOILS.items():
        with spoil(yard):
            try:
                await check_end(yard, [FILE])
            except AssertionError:
                continue
        pytest.fail(f"a file that ends thus is not found: {name}")
    await check_end(yard, [FILE])
