"""Planted bugs, and the faults that should reveal each: a harness that never turns red proves nothing."""

import signal
from collections.abc import Callable
from dataclasses import dataclass

from faults.checks import Verdict
from faults.drawing import Round
from faults.kinds import BackEndsKilled, BadWire, Crashed, Ended, Overtaken, Rejoining, TableLocked
from faults.rival import RivalWriter
from faults.roots.crashes import Step
from faults.roots.ingest import ANSWERS_BEFORE_THE_ACK
from faults.system import System
from faults.wire import Manner
from tillstream_native.places import ETL_WORKER

SETTLES_WITHIN_S = 30.0
PUBLISH_GIVES_UP_AFTER_S = 7.0


@dataclass(frozen=True, slots=True)
class Canary:
    """`bug` is the name under which `faults.roots` plants it."""

    bug: str
    rounds: Callable[[System], list[Round]]
    events: int = 2_000


def told(bug: str, verdict: Verdict) -> str:
    """One line: which checks caught it, and what the first one said."""
    if not verdict.caught_by:
        return f"ESCAPED  {bug}"
    first = verdict.problems[verdict.caught_by[0]][0]
    counts = f"lost = {verdict.lost}, doubled = {verdict.doubled}"
    return f"caught   {bug}: by {', '.join(verdict.caught_by)} ({counts}); {first}"


CANARIES = (
    Canary(
        "offsets before the write",
        lambda _: [[Crashed(step)] for step in (Step.BEFORE_WRITE, Step.AFTER_WRITE)],
    ),
    Canary("no fence", lambda _: [[Overtaken(step=Step.BEFORE_WRITE)]]),
    Canary("no version guard", lambda _: []),
    Canary(
        ANSWERS_BEFORE_THE_ACK,
        lambda system: [
            [BadWire(system.wires.ingest_to_broker, Manner.FREEZE, hold_s=PUBLISH_GIVES_UP_AFTER_S)]
        ],
    ),
    Canary(
        "start from latest",
        lambda _: [[Ended("worker SIGKILL", ETL_WORKER, signal.SIGKILL, hold_s=2.0)]],
    ),
    Canary(
        "quarantine during an outage",
        lambda _: [[BackEndsKilled()], [TableLocked(), BackEndsKilled()]],
    ),
    Canary("forget a batch on revoke", lambda _: [[Rejoining()], [Rejoining()]], events=6_000),
    Canary("unsorted upserts", lambda _: [[RivalWriter(hold_s=12.0)]], events=6_000),
)
