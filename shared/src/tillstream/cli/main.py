"""The `tillstream` command: one sub-command a module, errors as one sentence."""

import os
import sys

from tillstream.cli import csv_doctor, demo, migrate, topics
from tillstream.cli.arguments import EXIT_WRONG, Parser
from tillstream.cli.partitions import command as partitions
from tillstream.cli.quarantine import command as quarantine
from tillstream.errors import TillstreamError, WrongOption

_COMMANDS = (migrate, topics, quarantine, partitions, csv_doctor, demo)


def main(argv: list[str] | None = None) -> int:
    """Runs one sub-command. 0: done, 1: it could not be done and says why, 2: the arguments are wrong."""
    parser = Parser(prog="tillstream", description="The data system behind a shop.")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_parser(subparsers)
    given = sys.argv[1:] if argv is None else argv
    if not all(map(_is_text, given)):
        parser.error("arguments must be UTF-8.")
    args = parser.parse_args(given)
    try:
        code = int(args.run(args))
        sys.stdout.flush()
    except WrongOption as error:
        print(f"tillstream: {error}", file=sys.stderr)
        return EXIT_WRONG
    except TillstreamError as error:
        print(f"tillstream: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _is_text(argument: str) -> bool:
    """Python hands bytes that are no UTF-8 on as lone surrogates, which cannot be printed."""
    return argument.isprintable() or not any("\ud800" <= char <= "\udfff" for char in argument)
