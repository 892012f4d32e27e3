"""A claimed file that is replaced, truncated, deleted or written to while it is read fails, with the rows of the chunks before."""

from collections.abc import Callable
from pathlib import Path

import pytest

from file_faults.dropped import Dropped, packed, users
from file_faults.end_state import check_end
from file_faults.roots.steps import STOP
from file_faults.yard import CHUNK_ROWS, Yard

pytestmark = [pytest.mark.fault, pytest.mark.timeout(200)]

type Form = Callable[[bytes], bytes]
type Change = Callable[[Path], bytes | None]

OTHER = users(1, name="Zoe")
# Where the loader stands, and how many rows it has committed by then. What is read after the hash is watched from then on.
PLACES = {
    "before the first chunk": ("header.1", 0),
    "between two chunks": ("apply.2", CHUNK_ROWS),
    "at the end": ("wake.3", 9),
}


def replace(path: Path) -> bytes | None:
    other = path.parents[1] / "other"
    other.write_bytes(OTHER)
    other.rename(path)
    return OTHER


def rewrite(path: Path) -> bytes | None:
    path.write_bytes(OTHER)
    return OTHER


def truncate(path: Path) -> bytes | None:
    content = path.read_bytes()[:40]
    path.write_bytes(content)
    return content


def append(path: Path) -> bytes | None:
    with path.open("ab") as file:
        file.write(b"99,Late,late@example.org,2024-01-05\n")
    return path.read_bytes()


def delete(path: Path) -> bytes | None:
    path.unlink()
    return None


async def drop_and_change(yard: Yard, step: str, name: str, content: bytes, change: Change) -> bytes | None:
    """Changes the file while the loader stands at the step; what lies there then."""
    yard.order("loader-1", STOP, f"{step} {name}")
    yard.drop(name, content)
    async with yard.held("loader-1"):
        return change(yard.work(name))


@pytest.mark.parametrize("form", [bytes, packed], ids=["plain", "packed"])
@pytest.mark.parametrize("place", PLACES)
async def test_a_file_that_changes_while_it_is_read_fails_and_can_be_dropped_again(
    yard: Yard, place: str, form: Form
) -> None:
    """One file for each way; then the partner drops each of them anew."""
    step, rows = PLACES[place]
    yard.start("watcher")
    yard.start("loader")
    files = list[Dropped]()
    for number, change in enumerate((replace, rewrite, truncate, append, delete)):
        name, content = f"{change.__name__}.csv", form(users(1 + 100 * number))
        lies = await drop_and_change(yard, step, name, content, change)
        folder = None if lies is None else "error"
        files.append(Dropped(name, content, "failed", folder, lies, rows))
    jobs = await check_end(yard, files)
    assert {job["error"].partition(":")[0] for job in jobs} <= {"file_changed", "broken_gzip"}
    for each in files[:]:
        files.append(Dropped(each.name, each.content))
        yard.drop(each.name, each.content)
    await check_end(yard, files)


async def test_a_file_that_changes_before_it_is_opened_counts_as_what_it_is_then(yard: Yard) -> None:
    yard.start("watcher")
    yard.start("loader")
    lies = await drop_and_change(yard, "open.1", "replaced.csv", users(1), replace)
    assert lies is not None
    await drop_and_change(yard, "open.1", "deleted.csv", users(101), delete)
    files = [Dropped("replaced.csv", lies), Dropped("deleted.csv", users(101), "failed", None, rows=0)]
    *_, deleted = await check_end(yard, files)
    assert deleted["error"].startswith("file_missing")
