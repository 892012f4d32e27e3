"""Planted bugs, and the faults that should reveal each: a harness that never turns red proves nothing."""

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from faults.conductor import Result
from faults.drawing import Round
from faults.kinds import (
    BackEndsKilled,
    BadWire,
    Ended,
    Overtaken,
    Rejoining,
    TableLocked,
    loader_crash,
    worker_crash,
)
from faults.ledger import Fate
from faults.rival import RivalWriter
from faults.roots.crashes import Step
from faults.roots.ingest import ANSWERS_BEFORE_THE_ACK
from faults.roots.loader_bugs import ROWS_APART
from faults.roots.upload_bugs import A_JOB_PER_REQUEST, ANSWERS_BEFORE_THE_CLAIM
from faults.roots.worker_bugs import DOES_NOT_WORK
from faults.system import System
from faults.verdict import Kind
from faults.wire import Manner
from ingest_api.policy import DEFAULT_POLICY
from tillstream_native.places import ETL_WORKER, FILE_LOADER, INGEST_API

SETTLES_WITHIN_S = 30.0
# Far longer than the door tries to publish: what it took within that time before the end is published after all.
FROZEN_S = 2.5 * DEFAULT_POLICY.publish_s
ARRIVES_AT_LEAST = 0.5  # of each sort of items that the bug does not concern
SORT_AT_LEAST = 20  # items: fewer of a sort may all be lost by chance
LOOPS_FROM = 3  # ends of its own


class Outcome(StrEnum):
    CAUGHT = "caught"
    ESCAPED = "ESCAPED"
    PROVES_NOTHING = "PROVES NOTHING"  # something else is broken, and any check would be red


@dataclass(frozen=True, slots=True)
class Canary:
    """`bug` is the name under which `faults.roots` plants it in `part`. `check` must catch it, in every run, by a problem of the kind
    `shows_as`. Items of the fates that it `concerns` may all be elsewhere; of the others most arrive all the same."""

    bug: str
    part: str
    check: str
    shows_as: Kind
    rounds: Callable[[System], list[Round]]
    events: int = 2_000
    concerns: frozenset[Fate] = frozenset()


def judge(canary: Canary, result: Result) -> Outcome:
    if any(does_not_work(canary, result)):
        return Outcome.PROVES_NOTHING
    if result.verdict.of_kind(canary.check, canary.shows_as):
        return Outcome.CAUGHT
    return Outcome.ESCAPED


def does_not_work(canary: Canary, result: Result) -> Iterator[str]:
    """Why a red check would say nothing about the bug: beside it the system must have worked, and been broken as planned."""
    for arrival in result.verdict.arrivals:
        enough = arrival.arrived >= ARRIVES_AT_LEAST * arrival.acknowledged
        if arrival.fate not in canary.concerns and arrival.acknowledged >= SORT_AT_LEAST and not enough:
            sort = f"{arrival.acknowledged} {arrival.sort}s for {arrival.fate}"
            yield f"of {sort} only {arrival.arrived} are there"
    if not result.verdict.arrivals:
        yield "nothing was acknowledged"
    yield from result.not_ready
    ends = result.own_ends.get(canary.part, [])
    if len(ends) >= LOOPS_FROM:
        yield f"{canary.part} ended {len(ends)} times by itself, the last time with {ends[-1]}"
    if result.tally.not_made and not result.tally.made:
        yield f"no fault was made: {result.tally.not_made[0]}"


def told(canary: Canary, result: Result) -> str:
    """One line: which checks caught it, and what the one says that must."""
    verdict, outcome = result.verdict, judge(canary, result)
    by = ", ".join(verdict.caught_by) or "none"
    match outcome:
        case Outcome.PROVES_NOTHING:
            said = "; ".join(does_not_work(canary, result))
        case Outcome.ESCAPED:
            said = f"nothing is {canary.shows_as} under {canary.check} (caught by {by})"
        case Outcome.CAUGHT:
            found = verdict.of_kind(canary.check, canary.shows_as)
            counts = f"lost = {verdict.lost}, doubled = {verdict.doubled}"
            said = f"by {canary.check} as {canary.shows_as}, {len(found)} times (red: {by}; {counts}); {found[0]}"
    return f"{outcome:<14} {canary.bug}: {said}"


CANARIES = (
    Canary(
        "offsets before the write",
        ETL_WORKER,
        "C1",
        Kind.LOST,
        # Quiet rounds first: the worker has something in the tables before it crashes.
        lambda _: [[], [], [], [worker_crash(Step.BEFORE_WRITE)], [worker_crash(Step.AFTER_WRITE)]],
    ),
    Canary("no fence", ETL_WORKER, "C3", Kind.MOVED_BACK, lambda _: [[Overtaken(step=Step.BEFORE_WRITE)]]),
    Canary("no version guard", ETL_WORKER, "C2", Kind.OTHER_ROW, lambda _: []),
    Canary(
        ANSWERS_BEFORE_THE_ACK,
        INGEST_API,
        "C1",
        Kind.LOST,
        lambda system: [[BadWire(system.wires.ingest_to_broker, Manner.FREEZE, hold_s=FROZEN_S)]],
    ),
    Canary(
        "start from latest",
        ETL_WORKER,
        "C1",
        Kind.LOST,
        # Quiet rounds first: its partitions stand still afterwards, and most of the load must have arrived by then.
        lambda _: [[], [], [Ended("worker SIGKILL", ETL_WORKER, signal.SIGKILL, hold_s=2.0)]],
    ),
    Canary(
        "quarantine during an outage",
        ETL_WORKER,
        "C1",
        Kind.MISPLACED,
        lambda _: [[BackEndsKilled()], [TableLocked(), BackEndsKilled()]],
    ),
    Canary(
        "forget a batch on revoke",
        ETL_WORKER,
        "C1",
        Kind.LOST,
        lambda _: [[Rejoining()], [Rejoining()]],
        events=9_000,
    ),
    Canary(
        "unsorted upserts",
        ETL_WORKER,
        "C5",
        Kind.DEADLOCK,
        lambda _: [[RivalWriter(hold_s=12.0)]],
        events=6_000,
    ),
    Canary(
        "broken records dropped",
        ETL_WORKER,
        "C1",
        Kind.LOST,
        lambda _: [],
        concerns=frozenset({Fate.QUARANTINE}),
    ),
    # Clients that send a file again are part of the load.
    Canary(A_JOB_PER_REQUEST, INGEST_API, "C6", Kind.DOUBLED, lambda _: [[], []]),
    Canary(ANSWERS_BEFORE_THE_CLAIM, INGEST_API, "C1", Kind.LOST, lambda _: [[], []]),
    Canary(ROWS_APART, FILE_LOADER, "C6", Kind.MISCOUNTED, lambda _: [[loader_crash(Step.BEFORE_COMMIT)]]),
)

# A worker that does not work at all leaves everything nowhere, which is no proof of any check.
CONTROL = Canary(DOES_NOT_WORK, ETL_WORKER, "C1", Kind.LOST, lambda _: [])


def wanted(canary: Canary) -> Outcome:
    return Outcome.PROVES_NOTHING if canary is CONTROL else Outcome.CAUGHT
