"""A process that dies at a chosen step; every call of a port is one."""

import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any, cast

from etl_worker.file_loader.app import Ports


class Crash(BaseException):
    """No code of ours may catch it for good."""


class Tripwire:
    """Counts steps and dies at one of them."""

    def __init__(self, dies_at: int) -> None:
        self._dies_at = dies_at
        self._steps = 0

    def step(self, name: str) -> None:
        self._steps += 1
        if self._steps == self._dies_at:
            raise Crash(name)


class Wired:
    """Passes every call on to a port, over the tripwire."""

    def __init__(self, port: object, wire: Tripwire) -> None:
        self._port = port
        self._wire = wire

    def __getattr__(self, name: str) -> Any:
        return wired(getattr(self._port, name), name, self._wire)


def wired(call: Callable[..., Any], name: str, wire: Tripwire) -> Callable[..., Any]:
    """The call with a step before it: the moment after one call is the moment before the next."""
    if inspect.iscoroutinefunction(call):

        async def later(*args: Any, **more: Any) -> Any:
            wire.step(name)
            return await cast("Callable[..., Awaitable[Any]]", call)(*args, **more)

        return later
    if name == "rejects_file":

        @contextmanager
        def within(*args: Any, **more: Any) -> Iterator[Any]:
            wire.step(name)
            with cast("AbstractContextManager[Any]", call(*args, **more)) as value:
                yield value
                wire.step(f"end of {name}")

        return within

    def now(*args: Any, **more: Any) -> Any:
        wire.step(name)
        return call(*args, **more)

    return now


def wire_up(ports: Ports, wire: Tripwire) -> Ports:
    """The same ports, each with the tripwire around it."""
    return replace(
        ports,
        jobs=cast("Any", Wired(ports.jobs, wire)),
        over=cast("Any", Wired(ports.over, wire)),
        desk=cast("Any", Wired(ports.desk, wire)),
        apply=wired(ports.apply, "apply", wire),
        rows=lambda entity, job: cast("Any", Wired(ports.rows(entity, job), wire)),
        commit=wired(ports.commit, "commit", wire),
    )
