"""Which faults come when: drawn from a seed, so that a run can be repeated."""

from collections.abc import Iterator
from itertools import zip_longest
from random import Random

from faults.catalogue import file_faults, other_faults, worker_faults
from faults.kinds import Fault
from faults.system import System

type Round = list[Fault]  # faults that come together


def draw(system: System, random: Random, count: int, only: str = "") -> list[Round]:
    """Every kind once, and all of them again in another order until there are `count` (0: every kind once).

    Faults of the worker, of the two that take files, and of everything else come together, as far as there are enough. `only` keeps kinds whose name contains it.
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
    kinds = [worker_faults(random), other_faults(system, random), file_faults(random)]
    chosen = [[fault for fault in faults if only in fault.name] for faults in kinds]
    for faults in chosen:
        random.shuffle(faults)
    rounds: list[Round] = [
        [fault for fault in together if fault is not None] for together in zip_longest(*chosen)
    ]
    random.shuffle(rounds)
    yield from rounds
