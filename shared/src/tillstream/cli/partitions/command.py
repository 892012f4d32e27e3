"""`tillstream partitions …`: arguments in, one coroutine per sub-command out."""

import argparse
import asyncio
from collections.abc import Sequence

from psycopg import AsyncConnection
from pydantic import Field

from tillstream.cli.arguments import Subparsers, add_by, person, whole_number
from tillstream.cli.operating import OperatorUrl, operate
from tillstream.cli.partitions.plan import Step, plan, refuse_owned
from tillstream.cli.printing import counted, printable, table, when
from tillstream.clock import SystemClock
from tillstream.contracts.rules import MAX_ID
from tillstream.errors import WrongOption
from tillstream.kafka.logs import read_logs
from tillstream.kafka.operator import FRESH_FOR, Begin, Operator
from tillstream.kafka.records import Place
from tillstream.settings import BrokerAddresses, ServiceSettings, load_settings

KAFKA_WITHIN_S = 15.0
# A worker that refuses a log ends at once, and its session a moment later.
LEAVES_WITHIN_S = 2.0
LOOK_EVERY_S = 0.1
MAX_LISTED = 1_000
MAX_PARTITION = 32_767
EARLIEST = "earliest"
EXIT_NOT_DONE = 1
_HEAD = ("topic", "partition", "next offset", "log end", "lag", "stopped since", "why")
_DECISIONS_HEAD = ("when", "by", "partition", "decision", "from", "to", "why")
_COMMAND = "partitions"


class PartitionsSettings(ServiceSettings):
    """What the command needs to know; only `accept` asks Kafka."""

    operator_database_url: OperatorUrl
    kafka_bootstrap: BrokerAddresses = Field(
        default="127.0.0.1:9092", description="Kafka's addresses, `host:port`, separated by commas."
    )


def add_parser(subparsers: Subparsers) -> None:
    """Declares the arguments of all sub-commands."""
    parser = subparsers.add_parser(_COMMAND, help="how far each partition is; let one go on")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listed = commands.add_parser("list", help="next offset, end of the log, lag; what is stopped, and why")
    listed.add_argument("--topic")
    listed.add_argument("--stopped", action="store_true", help="only those that are stopped")
    listed.set_defaults(run=_list)
    resumed = commands.add_parser("resume", help="let stopped partitions go on")
    resumed.add_argument("topic", metavar="TOPIC", nargs="?")
    resumed.add_argument("partition", metavar="PARTITION", nargs="?", type=whole_number(0, MAX_PARTITION))
    resumed.add_argument("--all", action="store_true", help="all that are stopped, or all of TOPIC")
    add_by(resumed, "decides")
    resumed.set_defaults(run=_resume)
    accepted = commands.add_parser(
        "accept",
        help="go on in a log that the worker refused: made anew, cut by retention, another cluster's",
    )
    accepted.add_argument("topic", metavar="TOPIC")
    accepted.add_argument("partition", metavar="PARTITION", nargs="?", type=whole_number(0, MAX_PARTITION))
    accepted.add_argument(
        "--from", dest="begin", required=True, type=_begin, metavar="earliest|OFFSET", help="where to go on"
    )
    accepted.add_argument("--yes", action="store_true", help="do not ask")
    add_by(accepted, "decides")
    accepted.set_defaults(run=_accept)
    decided = commands.add_parser("decisions", help="who let which partition go on, when and where")
    decided.add_argument("--topic")
    decided.set_defaults(run=_decisions)


def _begin(text: str) -> int | None:
    if text == EARLIEST:
        return None
    try:
        return whole_number(0, MAX_ID)(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(
            f"must be {EARLIEST}, or {str(error).removeprefix('must be ')}"
        ) from None


def _list(args: argparse.Namespace) -> int:
    async def work(conn: AsyncConnection) -> None:
        standings = await Operator().partitions(conn, args.topic, MAX_LISTED + 1, only_stopped=args.stopped)
        if not standings:
            sentence = "No partition matches; one is known once a worker took it over."
            print("No partition is stopped." if args.stopped else sentence)
            return
        rows = [(*each[:6], each.stop_reason) for each in standings[:MAX_LISTED]]
        print(table(_HEAD, rows))
        unknown = sum(each.lag is None for each in standings[:MAX_LISTED])
        if unknown:
            print(
                f"\n{counted(unknown, 'lag is', 'lags are')} not known:"
                f" no worker measured there within {FRESH_FOR.total_seconds():g} s."
            )
        if len(standings) > MAX_LISTED:
            print(f"\nThere are more; these are the first {MAX_LISTED}. --topic narrows them down.")

    operate(load_settings(PartitionsSettings), _COMMAND, work)
    return 0


def _resume(args: argparse.Namespace) -> int:
    if args.all == (args.partition is not None) or (args.topic is None and not args.all):
        raise WrongOption("resume must have TOPIC and PARTITION, or --all (with or without TOPIC).")
    by = person("--by", args.by)

    async def work(conn: AsyncConnection) -> int:
        resumed = await Operator().resume(conn, args.topic, args.partition, by)
        for place, stopped_at, reason in resumed:
            why = printable(reason or "no reason given").rstrip(".")
            print(f"{place} goes on; it was stopped since {when(stopped_at)}: {why}.")
        if not resumed:
            print("No such partition is stopped; nothing was changed.")
        return 0 if resumed else EXIT_NOT_DONE

    return operate(load_settings(PartitionsSettings), _COMMAND, work)


def _accept(args: argparse.Namespace) -> int:
    settings = load_settings(PartitionsSettings)
    by = person("--by", args.by)
    logs = asyncio.run(read_logs(settings.kafka_bootstrap, args.topic, KAFKA_WITHIN_S))

    async def look(conn: AsyncConnection) -> list[Step]:
        clock = SystemClock()
        deadline = clock.monotonic() + LEAVES_WITHIN_S
        while True:
            fences = await Operator().fences(conn, args.topic)
            steps = plan(args.topic, args.partition, args.begin, fences, logs)
            if clock.monotonic() > deadline or not any(step.fence.is_alive for step in steps):
                return steps
            await asyncio.sleep(LOOK_EVERY_S)

    steps = operate(settings, _COMMAND, look)
    if not steps:
        print(f"The worker refuses no partition of {args.topic}; nothing was changed.")
        return EXIT_NOT_DONE
    refuse_owned(steps)
    for step in steps:
        print(step.sentence)
    if not args.yes and not _agreed(steps):
        print("Nothing was changed.")
        return EXIT_NOT_DONE

    async def write(conn: AsyncConnection) -> None:
        begins = [Begin(step.fence, step.begin, step.sentence) for step in steps]
        await Operator().accept(conn, args.topic, begins, logs.identity, by)

    operate(settings, _COMMAND, write)
    print(f"{counted(len(steps), 'partition goes', 'partitions go')} on from there once a worker takes over.")
    return 0


def _decisions(args: argparse.Namespace) -> int:
    async def work(conn: AsyncConnection) -> None:
        found = await Operator().decisions(conn, args.topic, MAX_LISTED + 1)
        if not found:
            print("Nobody has decided anything about a partition.")
            return
        rows = [
            (at, by, str(Place(topic, partition)), *rest)
            for at, by, topic, partition, *rest in found[:MAX_LISTED]
        ]
        print(table(_DECISIONS_HEAD, rows))
        if len(found) > MAX_LISTED:
            print(f"\nThere are more; these are the newest {MAX_LISTED}. --topic narrows them down.")

    operate(load_settings(PartitionsSettings), _COMMAND, work)
    return 0


def _agreed(steps: Sequence[Step]) -> bool:
    try:
        return (
            input(f"Go on with {counted(len(steps), 'partition', 'partitions')}? [y/N] ").strip().lower()
            == "y"
        )
    except EOFError:
        print()
        return False
