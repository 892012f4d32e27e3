"""Each planted bug turns the checks red, once its process was killed at the point that reveals it.

`FILE_FAULTS_EVERY_POINT=1 pytest tests/file_faults/test_canaries.py` kills it at each such point, which takes ten minutes.
"""

import asyncio
import os
from collections.abc import Sequence

import pytest

from file_faults.canaries import CANARIES, LIES_THERE, Canary
from file_faults.dropped import Dropped, users
from file_faults.end_state import check_end, check_rejects_so_far
from file_faults.roots.steps import PLANT
from file_faults.test_kills_of_plain_rows import check_end_of_orders, orders
from file_faults.yard import Yard

pytestmark = [pytest.mark.fault, pytest.mark.timeout(200)]

SELDOM_S = "3600"
ENDS_WITHIN_S = 20.0
GIVEN_UP_AFTER_S = 6.0  # what lies there for several times what an end takes lies there for ever
KEY_OF = {"before.csv": "before", "users.csv": "key"}
BEFORE, FILE = Dropped("before.csv", users(1001)), Dropped("users.csv", users(1))
PARENTS, PLAIN = Dropped("users.csv", users(1, broken=False)), orders(0)
STEPS_OF_A_QUEUE = frozenset({"kind.1", "queue.1", "tell.1"})
EVERY_POINT = "FILE_FAULTS_EVERY_POINT" in os.environ
POINTS = [(each, label) for each in CANARIES for label in (each.at if EVERY_POINT else each.at[:1])]


@pytest.mark.parametrize(
    ("canary", "label"), POINTS, ids=[f"{each.part}-{each.plant}-{label}" for each, label in POINTS]
)
async def test_a_planted_bug_is_found(yard: Yard, canary: Canary, label: str) -> None:
    """With the bug, but without a kill, a file ends as it should: it is the kill that reveals it."""
    if not canary.alone:
        yard.settings[PLANT] = canary.plant
    before = await loads_one(yard, canary)
    yard.settings[PLANT] = canary.plant
    within_s = GIVEN_UP_AFTER_S if LIES_THERE in canary.told else ENDS_WITHIN_S
    match canary.part:
        case "loader":
            found = loader_is_killed(yard, canary, label, before, within_s)
        case "watcher":
            found = watcher_is_killed(yard, label, before, within_s)
        case _:
            found = door_is_killed(yard, label, before, within_s)
    with pytest.raises(AssertionError, match=canary.told):
        await found


async def loads_one(yard: Yard, canary: Canary) -> list[Dropped]:
    """Of a dropped file the job is sent once: a watcher that sends it again would make good what a loader loses."""
    if canary.part == "door":
        yard.start("watcher")
    else:
        yard.start("watcher", TILLSTREAM_FILE_EMIT_AGAIN_S=SELDOM_S)
    yard.start("loader")
    file = PARENTS if canary.has_plain_rows else BEFORE
    if canary.part == "door":
        yard.start("door")
        await yard.send(file.name, file.content, KEY_OF[file.name])
    else:
        yard.drop(file.name, file.content)
    await check_end(yard, [file])
    return [file]


async def loader_is_killed(
    yard: Yard, canary: Canary, label: str, before: Sequence[Dropped], within_s: float
) -> None:
    file = PLAIN if canary.has_plain_rows else FILE
    await yard.stop("loader-1")
    yard.drop(file.name, file.content)
    await yard.dies_at("loader-1", label if label in STEPS_OF_A_QUEUE else f"{label} {file.name}")
    if canary.has_plain_rows:
        yard.start("loader")
        await check_end_of_orders(yard, PARENTS, [PLAIN], within_s)
        return
    check_rejects_so_far(yard, [*before, file])
    yard.start("loader")
    await check_end(yard, [*before, file], within_s)


async def watcher_is_killed(yard: Yard, label: str, before: Sequence[Dropped], within_s: float) -> None:
    await yard.stop("watcher-1", "loader-1")
    yard.drop(FILE.name, FILE.content)
    await yard.dies_at("watcher-1", f"{label} {FILE.name}")
    yard.start("watcher")
    yard.start("loader")
    await check_end(yard, [*before, FILE], within_s)


async def door_is_killed(yard: Yard, label: str, before: Sequence[Dropped], within_s: float) -> None:
    await yard.stop("door-1")
    sending = asyncio.create_task(yard.send(FILE.name, FILE.content, KEY_OF[FILE.name]))
    await yard.dies_at("door-1", label)
    yard.start("door")
    await sending
    await check_end(yard, [*before, FILE], within_s)
