"""Planted bugs, and the faults that should reveal each: a harness that never turns red proves nothing."""

import signal
from collections.abc import Callable
from dataclasses import dataclass

from faults.checks import Verdict
from faults.drawing import Round
from faults.kinds import (
    BackEndsKilled,
    BadWire,
    Crashed,
    Ended,
    LoaderCrashed,
    Overtaken,
    Rejoining,
    TableLocked,
)
from faults.rival import RivalWriter
from faults.roots.crashes import Step
from faults.roots.ingest import ANSWERS_BEFORE_THE_ACK
from faults.roots.loader_bugs import ROWS_APART
from faults.system import System
from faults.wire import Manner
from tillstream_native.places import ETL_WORKER

SETTLES_WITHIN_S = 30.0
PUBLISH_GIVES_UP_AFTER_S = 7.0


@dataclass(frozen=True, slots=True)
class Canary:
    """`bug` is the name under which `faults.roots` plants it; `check` is the one that must catch it, in every run."""

    bug: str
    check: str
    rounds: Callable[[System], list[Round]]
    events: int = 2_000

    def is_caught(self, verdict: Verdict) -> bool:
        return self.check in verdict.caught_by


def told(canary: Canary, verdict: Verdict) -> str:
    """One line: which checks caught it, and what the one says that must."""
    if not canary.is_caught(verdict):
        return f"ESCAPED  {canary.bug}: {canary.check} holds (caught by {', '.join(verdict.caught_by) or 'none'})"
    first = verdict.problems[canary.check][0]
    counts = f"lost = {verdict.lost}, doubled = {verdict.doubled}"
    others = ", ".join(check for check in verdict.caught_by if check != canary.check)
    return f"caught   {canary.bug}: by {canary.check} (also by {others or 'none'}; {counts}); {first}"


CANARIES = (
    Canary(
        "offsets before the write",
        "C1",
        lambda _: [[Crashed(step)] for step in (Step.BEFORE_WRITE, Step.AFTER_WRITE)],
    ),
    Canary("no fence", "C3", lambda _: [[Overtaken(step=Step.BEFORE_WRITE)]]),
    Canary("no version guard", "C2", lambda _: []),
    Canary(
        ANSWERS_BEFORE_THE_ACK,
        "C1",
        lambda system: [
            [BadWire(system.wires.ingest_to_broker, Manner.FREEZE, hold_s=PUBLISH_GIVES_UP_AFTER_S)]
        ],
    ),
    Canary(
        "start from latest",
        "C1",
        lambda _: [[Ended("worker SIGKILL", ETL_WORKER, signal.SIGKILL, hold_s=2.0)]],
    ),
    Canary(
        "quarantine during an outage",
        "C1",
        lambda _: [[BackEndsKilled()], [TableLocked(), BackEndsKilled()]],
    ),
    Canary("forget a batch on revoke", "C1", lambda _: [[Rejoining()], [Rejoining()]], events=9_000),
    Canary("unsorted upserts", "C5", lambda _: [[RivalWriter(hold_s=12.0)]], events=6_000),
    Canary("broken records dropped", "C1", lambda _: []),
    Canary(ROWS_APART, "C6", lambda _: [[LoaderCrashed(Step.BEFORE_COMMIT)]]),
)
