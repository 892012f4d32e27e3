"""The `tillstream` command: one sub-command a module, errors as one sentence."""

import argparse
import sys

from tillstream.cli import demo, migrate, topics
from tillstream.errors import TillstreamError

_COMMANDS = (migrate, topics, demo)


def main(argv: list[str] | None = None) -> int:
    """Runs one sub-command. 0: done, 1: it could not be done and says why, 2: the arguments are wrong."""
    parser = argparse.ArgumentParser(prog="tillstream", description="The data system behind a shop.")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_parser(subparsers)
    args = parser.parse_args(argv)
    try:
        return int(args.run(args))
    except TillstreamError as error:
        print(f"tillstream: {error}", file=sys.stderr)
        return 1
