"""What is written in one turn of the loop leaves together, in its order, and nothing is kept for longer."""

import asyncio
from typing import override

import pytest

from tillstream.http.held_writes import MAX_HELD_BYTES, HeldWrites

pytestmark = pytest.mark.unit


class Recorded(asyncio.Transport):
    """Notes what it is asked to do."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[bytes | str] = []

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.asked.append(bytes(data))

    @override
    def close(self) -> None:
        self.asked.append("close")

    @override
    def abort(self) -> None:
        self.asked.append("abort")

    @override
    def is_closing(self) -> bool:
        return "close" in self.asked

    @override
    def pause_reading(self) -> None:
        self.asked.append("pause")

    @override
    def resume_reading(self) -> None:
        self.asked.append("resume")


@pytest.fixture
def sent() -> Recorded:
    return Recorded()


@pytest.fixture
async def held(sent: Recorded) -> HeldWrites:
    return HeldWrites(sent, asyncio.get_running_loop())


async def test_head_and_body_leave_together(held: HeldWrites, sent: Recorded) -> None:
    held.write(b"head ")
    held.write(memoryview(b"body"))
    assert sent.asked == []
    await asyncio.sleep(0)
    assert sent.asked == [b"head body"]


async def test_each_turn_of_the_loop_sends_its_own(held: HeldWrites, sent: Recorded) -> None:
    for part in (b"one", b"two"):
        held.writelines([part, b"!"])
        await asyncio.sleep(0)
    assert sent.asked == [b"one!", b"two!"]


async def test_a_long_answer_is_not_kept_until_its_end(held: HeldWrites, sent: Recorded) -> None:
    for _ in range(3):
        held.write(b"x" * MAX_HELD_BYTES)
    assert list(map(len, sent.asked)) == [2 * MAX_HELD_BYTES]
    await asyncio.sleep(0)
    assert list(map(len, sent.asked)) == [2 * MAX_HELD_BYTES, MAX_HELD_BYTES]


async def test_what_was_written_before_a_close_is_sent_before_it(held: HeldWrites, sent: Recorded) -> None:
    held.write(b"last words")
    held.close()
    await asyncio.sleep(0)
    assert sent.asked == [b"last words", "close"]
    assert held.is_closing()


async def test_an_abort_sends_nothing(held: HeldWrites, sent: Recorded) -> None:
    held.write(b"never mind")
    held.abort()
    await asyncio.sleep(0)
    assert sent.asked == ["abort"]


async def test_reading_is_held_and_taken_up_as_ever(held: HeldWrites, sent: Recorded) -> None:
    held.pause_reading()
    held.resume_reading()
    assert sent.asked == ["pause", "resume"]
