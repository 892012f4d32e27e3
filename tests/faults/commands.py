"""What `make chaos` and `make chaos-canaries` do."""

import argparse
import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from faults.canaries import CANARIES, CONTROL, SETTLES_WITHIN_S, judge, told, wanted
from faults.catalogue import not_run_here
from faults.conductor import Plan, Run
from faults.disks import Disks
from faults.drawing import draw
from faults.report import report
from faults.system import System
from tillstream_native.leash import fasten

ENTERABLE = 0o711
DEFAULT_EVENTS = 20_000
EVENTS_PER_FAULT = 100  # at least: some faults wait for the next batch
SEED_BITS = 32


def parser() -> argparse.ArgumentParser:
    """The arguments; their defaults come from the variables that one gives to `make`."""
    root = argparse.ArgumentParser(prog="faults", description="Breaks the system and counts.")
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    one = commands.add_parser("chaos", help="every kind of fault, in an order drawn from the seed")
    one.add_argument("--events", type=int, default=os.environ.get("EVENTS") or DEFAULT_EVENTS)
    one.add_argument("--faults", type=int, default=os.environ.get("FAULTS") or 0, help="0: every kind once")
    one.add_argument("--seed", default=os.environ.get("SEED") or f"{Random().getrandbits(SEED_BITS):08x}")
    one.add_argument("--only", default="", help="kinds whose name contains this")
    one.add_argument("--keep", action="store_true", help="leave the folder with ledger and logs behind")
    one.set_defaults(run=chaos)
    birds = commands.add_parser("canaries", help="planted bugs, each with the faults that should reveal it")
    birds.add_argument("--only", default="", help="bugs whose name contains this")
    birds.set_defaults(run=canaries)
    return root


def say(sentence: str) -> None:
    print(sentence, flush=True)


async def chaos(arguments: argparse.Namespace) -> int:
    """One long run; 0 where everything holds."""
    if arguments.events < EVENTS_PER_FAULT * arguments.faults:
        say(f"{arguments.faults} faults want {EVENTS_PER_FAULT * arguments.faults} EVENTS at least.")
        return 1
    plan = Plan(arguments.seed, arguments.events)
    say(f"seed = {plan.seed}; the same SEED, EVENTS and FAULTS give the same load and the same faults again")
    async with system_up(Disks(), keep=arguments.keep) as (system, place):
        rounds = draw(system, Random(plan.seed), arguments.faults, arguments.only)
        result = await Run(system, plan, place, say).run(rounds)
        for line in report(plan, result, not_run_here(system)):
            say(line)
    return 0 if result.verdict.holds else 1


async def canaries(arguments: argparse.Namespace) -> int:
    """One short run per planted bug; 0 where each was caught, and where a worker that does not work proved nothing."""
    disks, amiss = Disks(), list[str]()
    for canary in (CONTROL, *CANARIES):
        if arguments.only in canary.bug:
            async with system_up(disks, canary.bug) as (system, place):
                plan = Plan(canary.bug, canary.events, SETTLES_WITHIN_S, SETTLES_WITHIN_S)
                result = await Run(system, plan, place, say).run(canary.rounds(system))
            say(told(canary, result))
            amiss += [] if judge(canary, result) is wanted(canary) else [canary.bug]
    say(f"not as wanted: {', '.join(amiss) or 'none'}")
    return 1 if amiss else 0


@asynccontextmanager
async def system_up(
    disks: Disks, plant: str = "", *, keep: bool = False
) -> AsyncIterator[tuple[System, Path]]:
    """A system in a folder of its own; both are gone afterwards, by a leash also when this process is killed."""
    place = _new_place()
    leash = fasten(os.getpid(), place)
    system = System(place, disks, plant)
    try:
        await system.up()
        yield system, place
    finally:
        try:
            await system.down()
        finally:
            if keep:
                kept = await asyncio.to_thread(_keep, place)
                say(f"ledger and logs are kept in {kept}")
            disks.unmount()
            shutil.rmtree(place, ignore_errors=True)
            leash.wait()


def _new_place() -> Path:
    place = Path(tempfile.mkdtemp(prefix="tillstream-chaos-"))
    place.chmod(ENTERABLE)
    return place


def _keep(place: Path) -> Path:
    """Copy what explains a run to a folder that stays: the disks are gone with the run."""
    kept = Path(tempfile.mkdtemp(prefix="tillstream-chaos-kept-"))
    shutil.copy(place / "ledger.jsonl", kept)
    shutil.copytree(place / "state" / "logs", kept / "logs")
    return kept
