import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any, override

import pytest
import structlog

from tillstream.observe import logs
from tillstream.observe.turn_lines import turn_logger

pytestmark = pytest.mark.unit


class Stream(io.StringIO):
    """Counts how often it is written to."""

    writes = 0

    @override
    def write(self, text: str, /) -> int:
        self.writes += 1
        return super().write(text)


@pytest.fixture
def out() -> Iterator[Stream]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = Stream()
    logs.configure("some-service", "INFO", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_line_is_a_sentence_with_fields(out: io.StringIO) -> None:
    structlog.get_logger().info("Stored a batch.", records=3, topic="shop.events.v1")
    (line,) = lines(out)
    assert list(line)[:4] == ["time", "level", "service", "event"]
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "service": "some-service",
        "event": "Stored a batch.",
        "records": 3,
        "topic": "shop.events.v1",
    }


def test_context_is_on_every_line(out: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        structlog.get_logger().info("One.")
        logging.getLogger("aiokafka").warning("Two.")
    assert [line["request_id"] for line in lines(out)] == ["r1", "r1"]


def test_library_lines_take_the_same_form(out: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received from %s.", "somebody")
    logging.getLogger("aiokafka.producer.sender").error("Unable to update metadata")
    first, second = lines(out)
    assert first["event"] == "Invalid HTTP request received from somebody."
    assert (first["logger"], first["level"], first["service"]) == ("uvicorn.error", "warning", "some-service")
    assert (second["logger"], second["level"]) == ("aiokafka.producer.sender", "error")


def test_chatter_of_libraries_is_left_out(out: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").info("Started server process")
    logging.getLogger("aiokafka.consumer").info("Joined group")
    structlog.get_logger().debug("Too small to tell.")
    assert lines(out) == []


def test_long_library_message_is_cut(out: io.StringIO) -> None:
    logging.getLogger("aiokafka").error("x" * 100_000)
    (line,) = lines(out)
    assert len(line["event"]) == logs.MAX_EVENT_CHARS + 1


def test_stack_of_an_error_stays_on_one_line(out: io.StringIO) -> None:
    try:
        {"known": 1}["planted"]
    except KeyError:
        structlog.get_logger().exception("It failed.")
        logging.getLogger("somewhere").exception("It failed there.")
    first, second = lines(out)
    assert "KeyError: 'planted'" in first["exception"]
    assert "KeyError: 'planted'" in second["exception"]


def repeat(message: str, *args: object, at_s: float) -> None:
    record = logging.LogRecord("aiokafka", logging.ERROR, "", 0, message, args, None)
    record.created = at_s
    logging.getLogger("aiokafka").handle(record)


def test_repeated_library_message_is_told_now_and_then(out: io.StringIO) -> None:
    for tenth in range(25 * 10):
        repeat("Unable to connect to node %s", tenth, at_s=1_000 + tenth / 10)
    repeat("Another message", at_s=1_000)
    told = lines(out)
    assert [line["event"] for line in told] == [
        "Unable to connect to node 0",
        "Unable to connect to node 100",
        "Unable to connect to node 200",
        "Another message",
    ]
    assert [line.get("left_out") for line in told] == [None, 99, 99, None]


def test_memory_of_messages_is_bounded(out: io.StringIO) -> None:
    for number in range(3 * logs.MAX_REMEMBERED):
        repeat(f"Message {number}", at_s=1_000)
    assert len(lines(out)) == 3 * logs.MAX_REMEMBERED


@pytest.mark.parametrize("value", ["\ud800", 2**200, object(), {("a", 1): 2}, b"\xff", {1, 2}])
def test_line_comes_out_whatever_is_in_it(out: io.StringIO, value: object) -> None:
    structlog.get_logger().info("Odd.", value=value)
    (line,) = lines(out)
    assert line["event"] == "Odd."


def test_last_configuration_counts(out: io.StringIO) -> None:
    second = io.StringIO()
    logs.configure("other-service", "ERROR", second)
    logging.getLogger("somewhere").error("Once.")
    structlog.get_logger().info("Not at this level.")
    assert [line["service"] for line in lines(second)] == ["other-service"]
    assert lines(out) == []


async def test_lines_of_one_turn_of_the_loop_are_one_write_at_its_end(out: Stream) -> None:
    log = turn_logger()
    for turn in (1, 2):
        for number in (1, 2, 3):
            log.info("Answered.", turn=turn, number=number)
        assert out.writes == turn - 1
        await asyncio.sleep(0)
    assert out.writes == 2
    told = lines(out)
    assert [(line["turn"], line["number"]) for line in told] == [(n, m) for n in (1, 2) for m in (1, 2, 3)]
    assert {tuple(line)[:4] for line in told} == {("time", "level", "service", "event")}


async def test_lines_of_a_turn_below_the_level_are_not_written(out: Stream) -> None:
    turn_logger().debug("Answered.")
    await asyncio.sleep(0)
    assert out.writes == 0
