"""`tillstream quarantine …`: arguments in, one coroutine per sub-command out."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from psycopg import AsyncConnection

from tillstream.cli import arguments
from tillstream.cli.arguments import Subparsers, add_by, add_limit, entry_id, person
from tillstream.cli.operating import OperatorUrl, operate
from tillstream.cli.printing import counted
from tillstream.cli.quarantine import reading, wishing
from tillstream.cli.quarantine.edited import patched, read_lines, read_patch
from tillstream.cli.quarantine.entries import Filters
from tillstream.cli.quarantine.requests import TrailFilters
from tillstream.cli.quarantine.wishing import Errand, Mend
from tillstream.contracts.entities import Entity
from tillstream.contracts.reasons import Reason
from tillstream.contracts.rules import MAX_ID
from tillstream.errors import WrongOption
from tillstream.settings import ServiceSettings, load_settings

DEFAULT_LIST = 100
DEFAULT_WISHES = 1_000
MAX_WAIT_S = 3_600
_FILTERS = ("reason", "source", "entity", "topic", "job", "since")
_ENTITIES = (*(entity.value for entity in Entity), "file")
_STANDARD = "-"
_COMMAND = "quarantine"


class QuarantineSettings(ServiceSettings):
    """What the command needs to know."""

    operator_database_url: OperatorUrl


def add_parser(subparsers: Subparsers) -> None:
    """Declares the arguments of all sub-commands."""
    parser = subparsers.add_parser(_COMMAND, help="look at what was refused, mend it, apply it again")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listed = commands.add_parser("list", help="open entries, oldest first")
    _add_filters(listed)
    listed.add_argument("--group", action="store_true", help="count them by reason and source")
    add_limit(listed, DEFAULT_LIST)
    listed.set_defaults(run=_list)
    shown = commands.add_parser("show", help="one entry, with its payload and the requests for it")
    shown.add_argument("id", metavar="ID", type=entry_id)
    shown.set_defaults(run=_show)
    exported = commands.add_parser("export", help="one editable line of JSON per entry")
    _add_choice(exported)
    exported.add_argument(
        "--to", default=_STANDARD, metavar="FILE", help="a new file (default: standard output)"
    )
    add_limit(exported, DEFAULT_WISHES)
    exported.set_defaults(run=_export)
    fixed = commands.add_parser("fix", help="have entries applied with other payloads")
    fixed.add_argument(
        "--patch", metavar="JSON", help="a merge patch (RFC 7396) for the payload of each entry"
    )
    fixed.add_argument("--file", metavar="FILE", help="an edited export; - is standard input")
    _add_wishes(fixed, _fix)
    _add_wishes(commands.add_parser("replay", help="have entries applied again as they are"), _replay)
    _add_requests(commands)


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", choices=[reason.value for reason in Reason], metavar="CODE")
    parser.add_argument("--source")
    parser.add_argument("--entity", choices=_ENTITIES)
    parser.add_argument("--topic")
    parser.add_argument("--job", type=arguments.uuid, metavar="JOB_ID", help="a file job")
    parser.add_argument("--since", metavar="TIME", help="received then or later")
    parser.add_argument(
        "--after",
        type=entry_id,
        default=0,
        metavar="ID",
        help="only entries with a greater id; the next page",
    )


def _add_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ids", metavar="ID", nargs="*", type=entry_id)
    parser.add_argument("--all", action="store_true", help="every open entry")
    _add_filters(parser)


def _add_wishes(parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], int]) -> None:
    _add_choice(parser)
    add_limit(parser, DEFAULT_WISHES)
    parser.add_argument("--dry-run", action="store_true", help="say what would happen, and change nothing")
    add_by(parser, "asks")
    parser.add_argument(
        "--wait",
        type=arguments.whole_number(1, MAX_WAIT_S),
        metavar="SECONDS",
        help="wait that long for the worker's answers, at most",
    )
    parser.set_defaults(run=run)


def _add_requests(commands: Subparsers) -> None:
    parser = commands.add_parser("requests", help="who asked for what, when, and what became of it")
    parser.add_argument("--by", metavar="NAME")
    parser.add_argument("--entry", type=entry_id, metavar="ID")
    parser.add_argument("--since", metavar="TIME", help="requested then or later")
    parser.add_argument("--open", action="store_true", help="only what is not answered yet")
    parser.add_argument("--before", type=entry_id, default=MAX_ID, metavar="REQUEST", help="the next page")
    add_limit(parser, DEFAULT_LIST)
    parser.set_defaults(run=_requests)


def _list(args: argparse.Namespace) -> int:
    settings = load_settings(QuarantineSettings)
    filters = _filters(args, settings)
    if args.group:
        operate(settings, _COMMAND, lambda conn: reading.list_groups(conn, filters))
    else:
        operate(settings, _COMMAND, lambda conn: reading.list_entries(conn, filters, args.limit))
    return 0


def _show(args: argparse.Namespace) -> int:
    operate(load_settings(QuarantineSettings), _COMMAND, lambda conn: reading.show_entry(conn, args.id))
    return 0


def _export(args: argparse.Namespace) -> int:
    settings = load_settings(QuarantineSettings)
    filters = _chosen(args, settings)

    def write(out: BinaryIO) -> None:
        async def work(conn: AsyncConnection) -> None:
            count, more = await reading.export_entries(conn, filters, args.limit, out)
            print(f"{counted(count, 'entry', 'entries')} exported. {more}".rstrip(), file=sys.stderr)

        operate(settings, _COMMAND, work)

    if args.to == _STANDARD:
        write(sys.stdout.buffer)
        sys.stdout.buffer.flush()
    else:
        _into_new_file(Path(args.to), write)
    return 0


def _fix(args: argparse.Namespace) -> int:
    if (args.patch is None) == (args.file is None):
        raise WrongOption("fix must have either --patch or --file.")
    settings = load_settings(QuarantineSettings)
    if args.patch is not None:
        patch = read_patch(args.patch)
        return _wish(args, settings, _chosen(args, settings), lambda entry: patched(entry.payload, patch))
    if args.ids or args.all or any(getattr(args, name) is not None for name in _FILTERS):
        raise WrongOption("--file names its entries itself: IDs, --all and filters must not stand beside it.")
    payloads = _edited(args.file, args.limit)
    filters = Filters(ids=tuple(sorted(payloads)))
    return _wish(args, settings, filters, lambda entry: payloads[entry.id])


def _replay(args: argparse.Namespace) -> int:
    settings = load_settings(QuarantineSettings)
    return _wish(args, settings, _chosen(args, settings), None)


def _requests(args: argparse.Namespace) -> int:
    settings = load_settings(QuarantineSettings)
    filters = TrailFilters(
        entry=args.entry,
        requested_by=args.by,
        since=arguments.moment("--since", args.since, settings.shop_timezone),
        only_open=args.open,
        before=args.before,
    )
    operate(settings, _COMMAND, lambda conn: reading.list_requests(conn, filters, args.limit))
    return 0


def _wish(args: argparse.Namespace, settings: QuarantineSettings, filters: Filters, mend: Mend | None) -> int:
    errand = Errand(filters, args.limit, person("--by", args.by), mend)

    async def work(conn: AsyncConnection) -> int:
        if args.dry_run:
            await wishing.tell(conn, errand, settings.shop_timezone)
            return 0
        requests = await wishing.wish(conn, errand)
        return await wishing.wait(conn, requests, args.wait) if args.wait else 0

    return operate(settings, _COMMAND, work)


def _filters(
    args: argparse.Namespace, settings: QuarantineSettings, ids: tuple[int, ...] | None = None
) -> Filters:
    given = {name: getattr(args, name) for name in _FILTERS}
    given["since"] = arguments.moment("--since", args.since, settings.shop_timezone)
    return Filters(**given, ids=ids, after=args.after)


def _chosen(args: argparse.Namespace, settings: QuarantineSettings) -> Filters:
    """Which entries are meant. Nobody means all of them by saying nothing."""
    is_filtered = any(getattr(args, name) is not None for name in _FILTERS)
    ways = [bool(args.ids), args.all, is_filtered]
    if sum(ways) != 1:
        raise WrongOption("Entries must be chosen in one way: by IDs, by filters, or by --all.")
    if len(set(args.ids)) > args.limit:
        raise WrongOption(f"IDs must be at most {args.limit}; --limit sets how many.")
    return _filters(args, settings, tuple(sorted(set(args.ids))) or None)


def _edited(name: str, limit: int) -> dict[int, bytes]:
    if name == _STANDARD:
        return read_lines(sys.stdin.buffer, limit)
    try:
        with Path(name).open("rb") as file:
            return read_lines(file, limit)
    except OSError as error:
        raise WrongOption(f"--file cannot be read: {error.strerror}.") from None


def _into_new_file(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Readable by its owner only: what was refused may hold people's data. A file that could not be finished goes again."""
    try:
        file = open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600))  # noqa: SIM115 - closed below
    except OSError as error:
        raise WrongOption(f"--to must name a new file: {error.strerror}.") from None
    try:
        with file:
            write(file)
    except BaseException:
        path.unlink()
        raise
