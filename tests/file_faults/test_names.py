"""Same content under two names, same name with new content, a half-written file finished later, and two watchers at once."""

import asyncio
from collections.abc import Callable

import pytest

from faults.holding import pause
from file_faults.dropped import Dropped, packed, users
from file_faults.end_state import check_end
from file_faults.roots.steps import STOP
from file_faults.yard import CHUNK_ROWS, WITHIN_S, Yard
from tillstream.testing.waiting import eventually

pytestmark = [pytest.mark.fault, pytest.mark.timeout(200)]

STABLE_S = 2.0
GAP_S = 0.25
GOOD, NEWER = users(1, broken=False), users(1, 5, name="Zoe", broken=False)
HALF = GOOD[: GOOD.index(b"4,Ann")]
FILES = 150


async def give(yard: Yard, road: str, name: str, content: bytes) -> None:
    """By one of the two roads; a file that is sent is claimed at the answer."""
    if road == "dropped":
        yard.drop(name, content)
    else:
        await yard.send(name, content, name)


@pytest.mark.parametrize("road", ["dropped", "sent"])
@pytest.mark.parametrize("form", [bytes, packed], ids=["plain", "packed"])
async def test_the_same_content_under_two_names_counts_once_though_the_loader_is_killed_between_them(
    yard: Yard, form: Callable[[bytes], bytes], road: str
) -> None:
    files = [Dropped("one.csv", form(GOOD)), Dropped("two.csv", form(GOOD), "duplicate", rows=0)]
    for part in ("watcher", "door", "loader"):
        yard.start(part)
    await give(yard, road, files[0].name, files[0].content)
    await yard.over(1)
    dying = asyncio.create_task(yard.dies_at("loader-1", "finish.1 two.csv"))
    await asyncio.sleep(0)  # it is asked for before the file comes
    await give(yard, road, files[1].name, files[1].content)
    await dying
    yard.start("loader")
    one, two = await check_end(yard, files)
    assert two["duplicate_of"] == one["job_id"]


@pytest.mark.parametrize("road", ["dropped", "sent"])
async def test_the_same_content_under_two_names_with_refused_rows_is_read_twice_and_stored_once(
    yard: Yard, road: str
) -> None:
    """A file with refused rows is no duplicate: the rows may be better by now. They are refused again."""
    files = [Dropped("one.csv", users(1)), Dropped("two.csv", packed(users(1)))]
    for part in ("watcher", "door", "loader"):
        yard.start(part)
    for each in files:
        await give(yard, road, each.name, each.content)
    await check_end(yard, files)


async def test_the_same_name_with_new_content_is_a_second_file_and_the_newer_rows_count(yard: Yard) -> None:
    """The second one is dropped while the first one is loaded; both keep their bytes."""
    yard.start("watcher")
    yard.start("loader")
    yard.order("loader-1", STOP, "apply.2 users.csv")
    yard.drop("users.csv", GOOD)
    async with yard.held("loader-1"):
        yard.drop("users.csv", NEWER)
    yard.drop("other.csv", users(101))
    files = [Dropped("users.csv", GOOD), Dropped("users.csv", NEWER), Dropped("other.csv", users(101))]
    await check_end(yard, files)


async def test_a_name_that_is_sent_again_under_another_key_is_a_second_file(yard: Yard) -> None:
    for part in ("watcher", "door", "loader"):
        yard.start(part)
    files = [Dropped("users.csv", GOOD), Dropped("users.csv", packed(NEWER))]
    for number, each in enumerate(files):
        await yard.send(each.name, each.content, f"key-{number}")
        await yard.send(each.name, each.content, f"key-{number}")
    await check_end(yard, files)


async def test_a_file_that_is_replaced_before_it_is_claimed_is_the_new_one_alone(yard: Yard) -> None:
    """Nobody was told of the former bytes; they are the partner's own loss."""
    yard.start("loader")
    yard.drop("users.csv", GOOD)
    yard.drop("users.csv", NEWER)
    yard.start("watcher")
    await check_end(yard, [Dropped("users.csv", NEWER)])


async def test_a_file_whose_writer_rests_for_less_than_is_asked_is_taken_whole(yard: Yard) -> None:
    """The watcher scans ten times a second, and sees the half of it again and again."""
    yard.start("watcher", TILLSTREAM_FILE_STABLE_S=str(STABLE_S))
    yard.start("loader")
    early, path = yard.drop("early.csv", users(101)), yard.folders.input / "users.csv"
    await eventually(lambda: not early.exists())  # from here on it scans
    path.write_bytes(HALF)
    await pause(STABLE_S / 2)  # the writer's
    with path.open("ab") as file:
        file.write(GOOD[len(HALF) :])
    await check_end(yard, [Dropped("early.csv", users(101)), Dropped("users.csv", GOOD)])


@pytest.mark.parametrize("place", ["open.1", "apply.2"])
async def test_a_half_written_file_that_was_taken_and_is_finished_later_never_loads_in_silence(
    yard: Yard, place: str
) -> None:
    """Its writer still has it open, and goes on: before it is read, then it counts whole; or while it is read, then it fails."""
    yard.start("watcher")
    yard.start("loader")
    yard.order("loader-1", STOP, f"{place} users.csv")
    with (yard.folders.input / "users.csv").open("wb", buffering=0) as file:
        file.write(GOOD[:-1] if place == "apply.2" else HALF)
        async with yard.held("loader-1"):
            file.write(b"\n" if place == "apply.2" else GOOD[len(HALF) :])
    if place == "open.1":
        await check_end(yard, [Dropped("users.csv", GOOD)])
        return
    failed = Dropped("users.csv", GOOD, "failed", "error", rows=CHUNK_ROWS)
    await check_end(yard, [failed])
    yard.drop("users.csv", GOOD)
    await check_end(yard, [failed, Dropped("users.csv", GOOD)])


async def test_what_is_refused_unopened_is_a_failed_job_with_its_reason(yard: Yard) -> None:
    """Beside a good file, which it does not keep waiting; a link's target is not read."""
    for part in ("watcher", "loader"):
        yard.start(part)
    secret = yard.place / "secret.csv"
    secret.write_bytes(users(901))
    (yard.folders.input / "link.csv").symlink_to(secret)
    yard.drop("odd\nname.csv", users(101))
    yard.drop("users.csv", GOOD)
    jobs = {job["file_name"]: job for job in await yard.over(3)}
    assert {name: (job["status"], job["rows"]) for name, job in jobs.items()} == {
        "link.csv": ("failed", 0),
        "odd_name.csv": ("failed", 0),
        "users.csv": ("loaded", 7),
    }
    assert jobs["link.csv"]["error"] == "refused_unopened: it is no regular file"
    assert jobs["odd_name.csv"]["error"].startswith("refused_unopened: its name has a control character")
    for name in ("link.csv", "odd_name.csv"):
        assert (yard.folders.error / f"{jobs[name]['job_id']}__{name}").exists(follow_symlinks=False)


async def test_two_watchers_of_which_one_is_killed_and_two_loaders_take_each_file_once(yard: Yard) -> None:
    files = list[Dropped]()

    def drop_one() -> None:
        number = len(files)
        content = users(1 + 10 * number, 2, broken=False)
        is_packed = number % 3 == 0
        files.append(Dropped(f"{number}.csv", packed(content) if is_packed else content))
        yard.drop(files[-1].name, files[-1].content)

    async def have_both_claimed() -> bool:
        drop_one()  # one of them may be quick enough to take all that lie there
        await pause(GAP_S)  # a busy machine has enough to do without hundreds more
        logs = [(yard.place / f"watcher-{number}.log").read_text() for number in (1, 2)]
        return all("Claimed a file." in log for log in logs)

    for part in ("watcher", "loader"):
        for number in (1, 2):
            yard.start(part, number)
    for number in range(FILES):
        drop_one()
        if number == FILES // 2:
            await yard.kill("watcher-1")
            yard.start("watcher", 1)
    await eventually(have_both_claimed, WITHIN_S)
    await check_end(yard, files)
