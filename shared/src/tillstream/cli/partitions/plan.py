"""Where partitions would go on after an operator's word, and what that skips or reads again."""

from collections.abc import Sequence
from typing import NamedTuple

from tillstream.errors import Misconfigured, WrongOption
from tillstream.kafka.identity import another_log, difference
from tillstream.kafka.logs import Log, Logs
from tillstream.kafka.operator import FenceRow


class Step(NamedTuple):
    """One partition: its fence row, the log of now, and the offset at which it would go on."""

    fence: FenceRow
    log: Log
    begin: int
    problem: str | None
    is_other_log: bool

    @property
    def sentence(self) -> str:
        """What the worker says against it now, and what would become of records."""
        effect = self._in_another_log() if self.is_other_log else self._in_the_same_log()
        calm = "is of the same topic" if self.is_other_log else "is within its log"
        return f"{self.problem or f'{self.fence.place} {calm}.'} From {self.begin} on it {effect}."

    def _in_another_log(self) -> str:
        reads = f"reads {_records(self.log.end - self.begin)} of the log of now, known ids once"
        return (
            f"{reads}, and skips {_records(self.begin - self.log.start)} before that"
            if self._passes_over
            else reads
        )

    @property
    def _passes_over(self) -> bool:
        return self.begin > self.log.start

    def _in_the_same_log(self) -> str:
        at = self.fence.next_offset
        if self.begin <= at:
            return (
                f"reads {_records(at - self.begin)} again, known ids once"
                if self.begin < at
                else "skips nothing"
            )
        gone = max(0, self.log.start - at)
        still_there = self.begin - at - gone
        parts = [f"{_records(gone)} that the log no longer has"] if gone else []
        parts += [f"{_records(still_there)} that it has"] if still_there else []
        return f"skips {' and '.join(parts)}"


def plan(
    topic: str, partition: int | None, begin: int | None, fences: Sequence[FenceRow], logs: Logs
) -> list[Step]:
    """The steps for one partition, or for those of a topic that need one; `begin` None is the earliest record.

    A topic that was made anew is one whole: also where the old offset happens to lie within the new log, everything before
    it was never read. Raises WrongOption for a partition or an offset that is not there.
    """
    known = {fence.place.partition: fence for fence in fences}
    if not known:
        raise WrongOption(f"TOPIC must be one that a worker has read; {topic} has no offsets to accept.")
    if partition is not None and partition not in known:
        raise WrongOption(
            f"PARTITION must be one that a worker has read; {topic} has no offset for {partition}."
        )
    if begin is not None and partition is None:
        raise WrongOption("--from must be earliest where no PARTITION is given.")
    steps = [_step(fence, logs, begin) for fence in fences if partition in {None, fence.place.partition}]
    if begin is not None:
        _check_bounds(steps[0])
    if partition is not None:
        return steps
    if any(step.is_other_log for step in steps):
        return [step._replace(is_other_log=True) for step in steps]
    return [step for step in steps if step.problem is not None]


def refuse_owned(steps: Sequence[Step]) -> None:
    """Raises Misconfigured where a worker is at work: it knows better where it is, and would overwrite what is written."""
    for step in steps:
        if step.fence.is_alive:
            raise Misconfigured(
                f"{step.fence.owner} owns {step.fence.place} and is alive: stop it first. Nothing was changed."
            )


def _step(fence: FenceRow, logs: Logs, begin: int | None) -> Step:
    log = logs.by_place.get(fence.place)
    if log is None:
        raise WrongOption(f"TOPIC must have the partitions of before; there is no {fence.place} any more.")
    known, now = fence.identity, logs.identity
    problem = difference(fence.place, fence.next_offset, known, *log, now)
    is_other = another_log(fence.place, known, now) is not None or fence.next_offset > log.end
    return Step(fence, log, log.start if begin is None else begin, problem, is_other)


def _check_bounds(step: Step) -> None:
    if not step.log.start <= step.begin <= step.log.end:
        raise WrongOption(
            f"--from must be from {step.log.start} to {step.log.end}, where the log of {step.fence.place} begins and ends."
        )


def _records(count: int) -> str:
    return f"{count} record{'' if count == 1 else 's'}"
