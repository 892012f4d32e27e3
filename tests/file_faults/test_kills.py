"""SIGKILL at each labelled step of loader, watcher and door, one file for each: every one of them ends as if nothing had been."""

import asyncio
from collections.abc import Callable

import pytest

from file_faults.canaries import unclaimed
from file_faults.dropped import Dropped, packed, users
from file_faults.end_state import check_end, check_rejects_so_far
from file_faults.yard import Yard

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]

SELDOM_S = "3600"
APART = 100  # ids between two files
# The steps that a load is made of, each of which must be among those at which the loader was killed.
OF_A_LOAD = {
    *("taken.1", "open.1", "header.1", "identify.1", "apply.1", "advance.1", "commit.1", "wake.1"),
    *("apply.2", "commit.2", "rejects_file.1", "finish.1", "put_away.1", "os.rename.2", "os.remove.1"),
}
OF_A_QUEUE = ("kind.1", "queue.1", "tell.1")
OF_A_CLAIM = {"open.1", "os.rename.1", "os.rename.2", "send.1", "sent.1"}
OF_AN_UPLOAD = {"open.1", "write.1", "open.2", "os.rename.1", "os.rename.2", "send.1", "sent.1"}


def file(number: int, form: Callable[[bytes], bytes] = bytes) -> Dropped:
    suffix = ".csv.gz" if form is packed else ".csv"
    return Dropped(f"users-{number:03}{suffix}", form(users(1 + number * APART)))


def until_sent(labels: list[str]) -> list[str]:
    """Up to the first time that the broker has the job: what is sent again is no step of its own."""
    return labels[: labels.index("sent.1") + 1]


@pytest.mark.parametrize("form", [bytes, packed], ids=["plain", "packed"])
async def test_a_loader_killed_at_each_step_of_a_file_ends_each_file_once(
    yard: Yard, form: Callable[[bytes], bytes]
) -> None:
    yard.start("watcher")
    yard.start("loader")
    files = [file(0, form)]
    yard.drop(files[0].name, files[0].content)
    await yard.over(1)
    labels = yard.steps("loader-1", files[0].name)
    assert set(labels) >= OF_A_LOAD
    assert not unclaimed("loader", labels)
    await yard.kill("loader-1")
    for number, _ in enumerate(labels, start=1):
        files.append(file(number, form))
        yard.drop(files[-1].name, files[-1].content)
    for label, each in zip(labels, files[1:], strict=True):
        await yard.dies_at("loader-1", f"{label} {each.name}")
        check_rejects_so_far(yard, files)
    yard.start("loader")
    await check_end(yard, files)


async def test_a_loader_killed_while_it_queues_takes_each_file_once(yard: Yard) -> None:
    """Before a job is queued, in the transaction that queues it, and after its commit, before the broker hears of it.

    Each job is sent once: a watcher that sends it again would make good what a loader loses.
    """
    assert not unclaimed("loader", OF_A_QUEUE)
    yard.start("watcher", TILLSTREAM_FILE_EMIT_AGAIN_S=SELDOM_S)
    files = [file(number) for number, _ in enumerate(OF_A_QUEUE)]
    for step, each in zip(OF_A_QUEUE, files, strict=True):
        yard.drop(each.name, each.content)
        await yard.dies_at("loader-1", step)
    yard.start("loader")
    await check_end(yard, files)


async def test_a_watcher_killed_at_each_step_of_a_claim_claims_each_file_once(yard: Yard) -> None:
    yard.start("loader")
    yard.start("watcher")
    files = [file(0)]
    yard.drop(files[0].name, files[0].content)
    await yard.over(1)
    await yard.stop(
        "watcher-1", "loader-1"
    )  # one that runs is done before the next watcher claims what is claimed
    labels = until_sent(yard.steps("watcher-1", files[0].name))
    assert set(labels) >= OF_A_CLAIM
    assert not unclaimed("watcher", labels)
    for number, label in enumerate(labels, start=1):
        files.append(file(number, packed if number % 2 else bytes))
        yard.drop(files[-1].name, files[-1].content)
        await yard.dies_at("watcher-1", f"{label} {files[-1].name}")
    yard.start("watcher")
    yard.start("loader")
    await check_end(yard, files)


async def test_a_door_killed_at_each_step_of_an_upload_takes_each_file_once(yard: Yard) -> None:
    """The client repeats its request under its key, and hears of one job."""
    for part in ("watcher", "loader", "door"):
        yard.start(part)
    files = [file(0)]
    await yard.send(files[0].name, files[0].content, "key-0")
    labels = until_sent(yard.steps("door-1", "upload"))
    assert set(labels) >= OF_AN_UPLOAD
    assert not unclaimed("door", labels)
    await yard.stop("door-1")
    for number, label in enumerate(labels, start=1):
        files.append(file(number, packed if number % 2 else bytes))
        sending = asyncio.create_task(yard.send(files[-1].name, files[-1].content, f"key-{number}"))
        await yard.dies_at("door-1", label)
        yard.start("door")
        await sending
        await yard.stop("door-1")
    await check_end(yard, files)
