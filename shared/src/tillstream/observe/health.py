"""What a process knows about its own health.

Live: its loops make progress. Ready: it is not stopping and everything it depends on answers. A loop that waits for a
dependency says so through `Dependency`; a probe asks at the moment of the question.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tillstream.clock import Clock
from tillstream.errors import TillstreamError
from tillstream.observe.metrics import Metrics

PROBE_LIMIT_S = 2.0
# However often somebody asks, a dependency is asked once in this time.
PROBE_AGE_S = 0.5

Probe = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Report:
    """`problems` has one sentence per name that is not well; there is none when `ok`. `remarks` do not count."""

    problems: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.problems


class Progress:
    """A loop touches it on every turn. Silence for longer than `ready_s` means that something does not answer, for longer
    than `limit_s` that the process must be restarted."""

    def __init__(self, name: str, limit_s: float, ready_s: float, clock: Clock) -> None:
        self.name = name
        self.limit_s = limit_s
        self.ready_s = ready_s
        self._clock = clock
        self._touched_at = clock.monotonic()

    def __repr__(self) -> str:
        return f"<Progress {self.name}: {self.silent_s():.1f} s of {self.limit_s} s>"

    def touch(self) -> None:
        self._touched_at = self._clock.monotonic()

    def silent_s(self) -> float:
        return self._clock.monotonic() - self._touched_at


class Dependency:
    """Something outside that the process may have to wait for. The gauge of waiting processes follows its state."""

    def __init__(self, name: str, metrics: Metrics) -> None:
        self.name = name
        self._gauge = metrics.waiting_for_dependency.labels(name)
        self._problems: dict[object, str] = {}
        self._gauge.set(0)

    def __repr__(self) -> str:
        return f"<Dependency {self.name}: {self.problem or 'answers'}>"

    @property
    def problem(self) -> str | None:
        """What the one says who has waited longest."""
        return next(iter(self._problems.values()), None)

    def waiting(self, sentence: str, who: object = None) -> None:
        """The dependency does not answer; the process waits and is not ready."""
        self._problems[who] = sentence
        self._gauge.set(1)

    def reached(self, who: object = None) -> None:
        """The dependency answers (again)."""
        self._problems.pop(who, None)
        self._gauge.set(int(bool(self._problems)))

    def voice(self) -> "Voice":
        """For one of several loops that wait by themselves: the dependency is well once it answers all of them."""
        return Voice(self)


class Voice:
    """What one loop says about a dependency that others wait for, too."""

    def __init__(self, dependency: Dependency) -> None:
        self.name = dependency.name
        self.problem: str | None = None
        self._dependency = dependency

    def __repr__(self) -> str:
        return f"<Voice on {self.name}: {self.problem or 'answers'}>"

    def waiting(self, sentence: str) -> None:
        """It does not answer this loop."""
        self.problem = sentence
        self._dependency.waiting(sentence, self)

    def reached(self) -> None:
        """It answers this loop (again)."""
        self.problem = None
        self._dependency.reached(self)


class Health:
    """Made once per process, next to its metrics. Names are unique within it."""

    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        self._clock = clock
        self._metrics = metrics
        self._probes: dict[str, Probe] = {}
        self._dependencies: dict[str, Dependency] = {}
        self._progress: dict[str, Progress] = {}
        self._remarks: dict[str, str] = {}
        self._stopping = False
        self._asking = asyncio.Lock()
        self._answers: dict[str, str] = {}
        self._answers_at: float | None = None
        self._metrics.ready.set(0)

    def add_probe(self, name: str, probe: Probe) -> None:
        """`probe` returns when all is well and raises a TillstreamError, or takes too long, when not.

        Like that of a dependency, `name` is a value of the metrics label `dependency`, whose gauge follows the answers.
        """
        assert name not in self._probes, name
        self._probes[name] = probe
        self._metrics.waiting_for_dependency.labels(name).set(0)

    def dependency(self, name: str) -> Dependency:
        """The state of a dependency; `name` is one of the values of the metrics label `dependency`."""
        if name not in self._dependencies:
            self._dependencies[name] = Dependency(name, self._metrics)
        return self._dependencies[name]

    def progress(self, name: str, limit_s: float, ready_s: float | None = None) -> Progress:
        """A new proof of progress, whose time starts now; without `ready_s` the process is ready until `limit_s`."""
        self._progress[name] = Progress(name, limit_s, limit_s if ready_s is None else ready_s, self._clock)
        return self._progress[name]

    def remark(self, name: str, sentence: str | None) -> None:
        """Something that an operator should know and that keeps nobody from working; None takes it back."""
        self._remarks.pop(name, None)
        if sentence is not None:
            self._remarks[name] = sentence

    def stop(self) -> None:
        """From here on the process is not ready, whatever else is well."""
        self._stopping = True
        self._metrics.ready.set(0)

    def live(self) -> Report:
        return Report(
            {
                progress.name: f"No progress for {progress.silent_s():.1f} s; the limit is {progress.limit_s:g} s."
                for progress in self._progress.values()
                if progress.silent_s() > progress.limit_s
            }
        )

    def _standstills(self) -> dict[str, str]:
        """A server that is there and mute makes no error for a long while; whoever waits for it is not ready meanwhile."""
        return {
            progress.name: f"No progress for {progress.silent_s():.1f} s: something does not answer."
            for progress in self._progress.values()
            if progress.silent_s() > progress.ready_s
        }

    async def ready(self) -> Report:
        """Asks every probe at once; takes PROBE_LIMIT_S at most. Answers of probes are up to PROBE_AGE_S old."""
        async with self._asking:
            await self._ask_all()
        problems = {
            name: each.problem for name, each in self._dependencies.items() if each.problem is not None
        }
        problems.update(self._answers)
        problems.update(self._standstills())
        if self._stopping:
            problems["process"] = "The process is stopping."
        self._metrics.ready.set(0 if problems else 1)
        return Report(problems, dict(self._remarks))

    async def _ask_all(self) -> None:
        now = self._clock.monotonic()
        if self._answers_at is not None and now - self._answers_at < PROBE_AGE_S:
            return
        names = list(self._probes)
        answers = await asyncio.gather(*(_ask(self._probes[name]) for name in names))
        self._answers = {
            name: answer for name, answer in zip(names, answers, strict=True) if answer is not None
        }
        self._answers_at = self._clock.monotonic()
        for name in names:
            self._metrics.waiting_for_dependency.labels(name).set(int(name in self._answers))


async def _ask(probe: Probe) -> str | None:
    """None when all is well, else a sentence."""
    try:
        async with asyncio.timeout(PROBE_LIMIT_S):
            await probe()
    except TimeoutError:
        return f"No answer within {PROBE_LIMIT_S:g} s."
    except TillstreamError as error:
        return str(error) or type(error).__name__
    return None
