"""A planted bug counts as caught only where the system worked beside it; a fault, only where it was made; memory is judged."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import pytest

from faults.canaries import CANARIES, LOOPS_FROM, SORT_AT_LEAST, Canary, Outcome, judge, told
from faults.conductor import Result
from faults.kinds import NotMade
from faults.ledger import Fate
from faults.memory import MAX_GROWTH_MB, MAX_MB, check_memory
from faults.system import System, own_ends
from faults.tally import Tally
from faults.verdict import Arrival, Kind, Problem, Verdict
from tillstream_native.places import ETL_WORKER

pytestmark = pytest.mark.unit

CANARY = Canary("a bug", ETL_WORKER, "C1", Kind.LOST, lambda _: [])
NO_SYSTEM = cast("System", None)
LOG = """
2024-01-01 00:00:00,000 INFO spawned: 'etl-worker' with pid 7
2024-01-01 00:00:01,000 WARN exited: etl-worker (exit status 1; not expected)
2024-01-01 00:00:02,000 WARN exited: etl-worker (exit status 70; not expected)
2024-01-01 00:00:03,000 WARN exited: etl-worker (terminated by SIGKILL; not expected)
2024-01-01 00:00:04,000 INFO exited: etl-worker (exit status 0; expected)
2024-01-01 00:00:05,000 WARN exited: etl-worker-2 (exit status 1; not expected)
2024-01-01 00:00:06,000 INFO stopped: etl-worker (exit status 0)
"""


def caught() -> Result:
    """Of a run in which the bug lost one of many, and all else worked."""
    problems = {"C1": [Problem(Kind.LOST, "nowhere: one")], "C2": list[Problem]()}
    arrivals = [Arrival("event", Fate.TABLE, 100, 99), Arrival("user", Fate.QUARANTINE, 100, 100)]
    result = Result(verdict=Verdict(1, 0, problems, arrivals))
    result.tally.made["a fault"] += 1
    return result


def lose_all(result: Result) -> None:
    result.verdict.arrivals = [each._replace(arrived=0) for each in result.verdict.arrivals]


def lose_one_sort(result: Result) -> None:
    result.verdict.arrivals[1] = result.verdict.arrivals[1]._replace(arrived=49)


def acknowledge_nothing(result: Result) -> None:
    result.verdict.arrivals.clear()


def end_unready(result: Result) -> None:
    result.not_ready = ["etl-worker does not answer"]


def loop(result: Result) -> None:
    result.own_ends[ETL_WORKER] = ["exit status 1"] * LOOPS_FROM


def make_no_fault(result: Result) -> None:
    result.tally.made.clear()
    result.tally.not_made.append("a fault: no batch came to the step")


def test_a_bug_that_shows_as_it_should_in_a_system_that_works_is_caught() -> None:
    assert judge(CANARY, caught()) is Outcome.CAUGHT


@pytest.mark.parametrize(
    "spoil", [lose_all, lose_one_sort, acknowledge_nothing, end_unready, loop, make_no_fault]
)
def test_a_system_that_does_not_work_proves_nothing(spoil: Callable[[Result], None]) -> None:
    result = caught()
    spoil(result)
    assert judge(CANARY, result) is Outcome.PROVES_NOTHING
    assert told(CANARY, result).startswith("PROVES NOTHING a bug: ")


def test_the_bug_may_lose_all_of_what_it_concerns_and_chance_all_of_a_few() -> None:
    result = caught()
    result.verdict.arrivals = [
        Arrival("event", Fate.TABLE, 100, 100),
        Arrival("user", Fate.QUARANTINE, 100, 0),
        Arrival("order", Fate.PARKED, SORT_AT_LEAST - 1, 0),
    ]
    concerned = Canary(
        "a bug", ETL_WORKER, "C1", Kind.LOST, lambda _: [], concerns=frozenset({Fate.QUARANTINE})
    )
    assert judge(concerned, result) is Outcome.CAUGHT
    assert judge(CANARY, result) is Outcome.PROVES_NOTHING


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.LOST])
def test_another_kind_of_problem_under_the_check_does_not_count(kind: Kind) -> None:
    result = caught()
    result.verdict.problems["C1"] = [Problem(kind, "something else")]
    assert judge(CANARY, result) is Outcome.ESCAPED


def test_another_check_does_not_count() -> None:
    result = caught()
    result.verdict.problems["C2"], result.verdict.problems["C1"] = result.verdict.problems["C1"], []
    assert judge(CANARY, result) is Outcome.ESCAPED
    assert told(CANARY, result).startswith("ESCAPED        a bug: ")


def test_no_canary_is_excused_from_the_tables() -> None:
    assert all(Fate.TABLE not in canary.concerns for canary in CANARIES)


def test_an_end_counts_as_its_own_unless_the_harness_brought_it_about() -> None:
    assert own_ends(LOG, ETL_WORKER) == ["exit status 1", "exit status 0"]


@dataclass
class Made:
    """A fault that raises where it is told to."""

    in_inject: Exception | None = None
    in_heal: Exception | None = None
    name: str = "made up"
    takes_s: float = 0.0
    hold_s: float = 0.0
    healed: bool = False

    async def inject(self, system: System) -> None:
        if self.in_inject:
            raise self.in_inject

    async def heal(self, system: System) -> None:
        self.healed = True
        if self.in_heal:
            raise self.in_heal


async def test_a_fault_counts_once_it_has_happened() -> None:
    tally = Tally()
    await tally.suffer(Made(), NO_SYSTEM)
    assert (tally.made, tally.not_made) == ({"made up": 1}, [])


@pytest.mark.parametrize(
    "fault",
    [Made(AssertionError("no pid")), Made(NotMade("no batch")), Made(in_heal=NotMade("touched nothing"))],
)
async def test_a_fault_that_could_not_be_made_is_healed_and_said_and_not_counted(fault: Made) -> None:
    tally = Tally()
    await tally.suffer(fault, NO_SYSTEM)
    assert not tally.made
    assert fault.healed
    assert tally.not_made == [f"made up: {fault.in_inject or fault.in_heal}"]


async def test_what_does_not_heal_is_the_systems_own_failure() -> None:
    with pytest.raises(AssertionError, match="did not come back"):
        await Tally().suffer(Made(in_heal=AssertionError("it did not come back")), NO_SYSTEM)


@pytest.mark.parametrize(
    ("looks", "says"),
    [
        ([80.0, 80.0 + MAX_GROWTH_MB + 1, 90.0], "grew from 80 to 181 MB"),
        ([MAX_MB - 50, MAX_MB], "held 300 MB"),
        ([80.0], "measured 1 times"),
        ([], "measured 0 times"),
    ],
)
def test_memory_that_grows_or_was_not_measured_is_found(looks: list[float], says: str) -> None:
    [problem] = check_memory({"a service": looks, "another": [80.0, 80.0 + MAX_GROWTH_MB, 85.0]})
    assert problem.startswith("a service")
    assert says in problem
