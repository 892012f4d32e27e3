"""What a run prints at its end."""

from collections.abc import Iterator, Sequence

from faults.conductor import Plan, Result

TOLD_AT_MOST = 5


def report(plan: Plan, result: Result, not_run: Sequence[str]) -> Iterator[str]:
    """Line by line; what could not be done here is named, and never counted as passed."""
    verdict = result.verdict
    yield f"seed = {plan.seed}"
    yield f"events = {result.events}, acknowledged = {result.acknowledged} items of all kinds"
    yield f"of these, refused after the door and kept: {result.hostile}"
    yield f"files = {result.files}, of these sent to the door: {result.sent_files}, packed: {result.packed_files}"
    yield f"faults = {result.tally.made.total()}"
    for name, count in sorted(result.tally.made.items()):
        yield f"  {count:4} × {name}"
    for sentence in result.tally.not_made:
        yield f"  could not be made: {sentence}"
    for name in not_run:
        yield f"  not run here: {name} (it needs root and the right to mount)"
    if result.recoveries_s:
        seconds, name = max(result.recoveries_s)
        yield f"longest recovery = {seconds:.1f} s, after {name}"
    for name, measured in result.memory_mb.items():
        if measured:
            told = f"{measured[0]:.0f} MB at the start, {max(measured):.0f} MB at most"
            yield f"memory of {name} = {told}, {measured[-1]:.0f} MB at the end"
    for check, problems in verdict.problems.items():
        yield f"{check}: {f'{len(problems)} problems' if problems else 'holds'}"
        yield from (f"  {problem.text}" for problem in problems[:TOLD_AT_MOST])
    yield f"lost = {verdict.lost}, doubled = {verdict.doubled}"
