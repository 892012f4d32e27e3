import asyncio
import gc
import os
import signal

import pytest
import uvloop
from structlog.testing import capture_logs

from tillstream.errors import BrokerUnavailable, Misconfigured
from tillstream.observe import serve

pytestmark = pytest.mark.unit


async def main_until_stopped(stop: asyncio.Event) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    await stop.wait()


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (3, 3)])
async def test_result_is_the_exit_code(returned: int | None, code: int) -> None:
    async def main(_stop: asyncio.Event) -> int | None:
        return returned

    assert await serve.supervise(main) == code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_sets_the_stop_event(number: signal.Signals) -> None:
    async def main(stop: asyncio.Event) -> None:
        os.kill(os.getpid(), number)
        await stop.wait()

    with capture_logs() as lines:
        assert await serve.supervise(main) == serve.EXIT_CLEAN
    assert [line["event"] for line in lines] == ["Stopping, as asked.", "Stopped."]
    assert lines[0]["signal"] == number.name


async def test_handlers_are_taken_away_afterwards() -> None:
    await serve.supervise(main_until_stopped)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


async def test_wrong_set_up_is_one_line_and_a_code_of_its_own() -> None:
    async def main(_stop: asyncio.Event) -> None:
        raise Misconfigured("TILLSTREAM_X is not set.")

    with capture_logs() as lines:
        assert await serve.supervise(main) == serve.EXIT_MISCONFIGURED
    assert [(line["event"], line["problem"]) for line in lines] == [
        ("The process cannot run as it is set up.", "TILLSTREAM_X is not set.")
    ]
    assert "exc_info" not in lines[0]


@pytest.mark.parametrize("error", [BrokerUnavailable("gone"), ZeroDivisionError()])
async def test_error_that_escapes_ends_the_process_with_its_stack(error: Exception) -> None:
    async def main(_stop: asyncio.Event) -> None:
        raise error

    with capture_logs() as lines:
        assert await serve.supervise(main) == serve.EXIT_FAILED
    assert [line["exc_info"] for line in lines] == [True]


async def test_what_does_not_finish_in_time_is_cancelled() -> None:
    cancelled = asyncio.Event()

    async def main(_stop: asyncio.Event) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with capture_logs() as lines:
        assert await serve.supervise(main, stop_limit_s=0.01) == serve.EXIT_FAILED
    assert cancelled.is_set()
    assert lines[-1]["event"] == "Gave up on finishing what was in flight."


def test_process_runs_on_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "set_threshold", lambda _: None)  # it would hold for the whole test run

    async def main(_stop: asyncio.Event) -> int:
        return 7 if isinstance(asyncio.get_running_loop(), uvloop.Loop) else 1

    assert serve.run(main) == 7


def test_limits_add_up_to_less_than_twenty_seconds() -> None:
    assert serve.STOP_LIMIT_S + serve.CANCEL_LIMIT_S < 20
