"""Arguments of commands: one sentence where one is wrong, and the limits that several commands have in common."""

import argparse
import getpass
from collections.abc import Callable
from datetime import datetime
from typing import NoReturn, override
from uuid import UUID
from zoneinfo import ZoneInfo

from tillstream.contracts.ids import read_uuid
from tillstream.contracts.rules import MAX_ID, is_text, read_time
from tillstream.errors import WrongOption

EXIT_WRONG = 2
MAX_ROWS = 10_000


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage before it."""

    @override
    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_WRONG, f"{self.prog}: {message}\n")


type Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - it has no public name


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """The type of an argument that is a whole number from `least` to `most`."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= len(str(most))):
            raise argparse.ArgumentTypeError(f"must be a whole number from {least} to {most}")
        if not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"must be a whole number from {least} to {most}")
        return int(text)

    return read


entry_id = whole_number(1, MAX_ID)


def uuid(text: str) -> UUID:
    """The type of an argument that is a UUID."""
    found = read_uuid(text)
    if found is None:
        raise argparse.ArgumentTypeError("must be a UUID")
    return found


def add_limit(parser: argparse.ArgumentParser, default: int) -> None:
    parser.add_argument(
        "--limit",
        type=whole_number(1, MAX_ROWS),
        default=default,
        metavar="N",
        help=f"at most this many (default: {default}, at most {MAX_ROWS})",
    )


def add_by(parser: argparse.ArgumentParser, does: str) -> None:
    """`--by NAME`, for `person`; `does` is what that person does."""
    parser.add_argument("--by", metavar="NAME", help=f"who {does} (default: the user of the system)")


def moment(option: str, text: str | None, shop_timezone: ZoneInfo) -> datetime | None:
    """The moment that an option means, if it was given. Raises WrongOption."""
    found = read_time(text, shop_timezone)
    if text is not None and found is None:
        raise WrongOption(
            f"{option} must be an ISO 8601 time such as 2024-01-20T10:30:00Z"
            " (no offset means UTC, a bare date the start of that shop day)."
        )
    return found


def person(option: str, name: str | None) -> str:
    """Who asks: the name that was given, or the user of the system. Raises WrongOption where neither can be written down."""
    if name is None:
        try:
            name = getpass.getuser()
        except (OSError, KeyError):  # KeyError: before Python 3.13
            raise WrongOption(
                f"{option} must be given: the system does not say who runs this command."
            ) from None
    if not is_text(name):
        raise WrongOption(f"{option} must be a text of 1 to 320 characters without control characters.")
    return name
