"""Which faults come when: drawn from a seed, so that a run can be repeated."""

from collections.abc import Iterator
from random import Random

from faults.kinds import Fault, other_faults, worker_faults
from faults.system import System

type Round = list[Fault]  # faults that come together


def draw(system: System, random: Random, count: int, only: str = "") -> list[Round]:
    """Every kind once, and all of them again in another order until there are `count` (0: every kind once).

    Most of the worker's faults come together with one of the others. `only` keeps kinds whose name contains it.
    """
    rounds: list[Round] = []
    while sum(map(len, rounds)) < (count or 1):
        drawn = list(_every_kind(system, random, only))
        if not drawn:
            return []
        rounds += drawn
    while count and (excess := sum(map(len, rounds)) - count) > 0:
        rounds[-1:] = [rounds[-1][:-excess]] if len(rounds[-1]) > excess else []
    return rounds


def _every_kind(system: System, random: Random, only: str) -> Iterator[Round]:
    workers = [fault for fault in worker_faults(random) if only in fault.name]
    others = [fault for fault in other_faults(system, random) if only in fault.name]
    random.shuffle(workers)
    random.shuffle(others)
    pairs = min(len(workers), len(others))
    rounds: list[Round] = [list(pair) for pair in zip(workers, others, strict=False)]
    rounds += [[fault] for fault in (*workers[pairs:], *others[pairs:])]
    random.shuffle(rounds)
    yield from rounds
