"""`tillstream csv-doctor FILE`: what would become of a file if it were dropped. Nothing is loaded, no server is asked."""

import argparse
import json
from pathlib import Path
from typing import BinaryIO

from tillstream.cli.arguments import Subparsers, add_limit
from tillstream.cli.printing import counted, printable, table
from tillstream.clock import SystemClock
from tillstream.contracts.csv_rows import csv_columns
from tillstream.contracts.encodings import DECLARABLE_OF_A_FILE
from tillstream.csv.diagnosis import diagnosis
from tillstream.csv.doctor import DEFAULT_REJECTS, MAX_KEYS, Report, Terms, examine
from tillstream.csv.dropped import TEXT_SUFFIX, is_kept_text
from tillstream.csv.encoding import CERTAINTY_SENTENCES, Encoding
from tillstream.csv.header import Header
from tillstream.csv.packed import plain_name
from tillstream.errors import FileRefused, WrongOption
from tillstream.folders import open_regular
from tillstream.settings import ServiceSettings, load_settings

EXIT_NOT_WHOLE = 1
_SEPARATOR_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_LEFT_OPEN = "The tables tell the rest: whether another user holds an address, a parent is there, a stored row is newer."


def add_parser(subparsers: Subparsers) -> None:
    """Declares the command's arguments."""
    parser = subparsers.add_parser(
        "csv-doctor",
        help="what would become of a CSV file: its kind, encoding, columns, and which rows would be rejected",
    )
    parser.add_argument("file", metavar="FILE", type=Path)
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument(
        "--encoding",
        choices=[each.value for each in DECLARABLE_OF_A_FILE],
        default=None,
        metavar="NAME",
        help="what is declared for the file, or told to file-loader by TILLSTREAM_FILE_ENCODING, such as windows-1252; it counts for what is no UTF-8",
    )
    add_limit(parser, DEFAULT_REJECTS)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Examines and prints; 0 where every row would load, as far as the file alone can tell. Raises WrongOption."""
    terms = Terms(
        accepted_at=SystemClock().now(),
        shop_timezone=load_settings(ServiceSettings).shop_timezone,
        declared=Encoding(args.encoding) if args.encoding is not None else None,
        max_rejects=args.limit,
    )
    try:
        with _opened(args.file) as file:
            report = examine(file, args.file.name, terms)
    except OSError as error:
        raise WrongOption(f"FILE cannot be read: {error.strerror or error}.") from error
    show = _as_json if args.format == "json" else _as_text
    print(show(args.file.name, report))
    return 0 if report.would_load_whole else EXIT_NOT_WHOLE


def _opened(path: Path) -> BinaryIO:
    try:
        return open_regular(path.resolve())
    except FileRefused as error:
        raise WrongOption(f"FILE cannot be read: {error}.") from error


def _as_json(file_name: str, report: Report) -> str:
    return json.dumps(diagnosis(file_name, report), indent=2)


def _as_text(file_name: str, report: Report) -> str:
    shown = printable(file_name).replace("\n", "\\n")
    size = f"{counted(report.bytes, 'byte', 'bytes')}, {counted(report.lines, 'line', 'lines')}"
    if report.header is None:
        fate = "would be archived as it is" if report.error is None else "would be refused"
        return f"{shown} ({size}) {fate}{_because(report) or _archived_because(file_name)}"
    rows = counted(report.rows, "row", "rows")
    parts = [
        f"{shown} ({size}): {rows}, of which {report.accepted} would load and {report.rejected} would be rejected.",
        *([f"The file would fail{_because(report)}"] if report.error is not None else []),
        _form(report.header),
        *([_rejects(report)] if report.rejects else []),
        *(
            [f"Repeated keys were looked for among the first {MAX_KEYS} only."]
            if not report.knows_all_keys
            else []
        ),
        _LEFT_OPEN,
    ]
    return "\n\n".join(parts)


def _because(report: Report) -> str:
    return f": {printable(report.error)}." if report.error is not None else ""


def _archived_because(file_name: str) -> str:
    if is_kept_text(plain_name(file_name)):
        return (
            f": a name that ends in {TEXT_SUFFIX} says that it is text; name it .csv to have its rows loaded."
        )
    return ": it has no header that is known."


def _form(header: Header) -> str:
    required, optional = csv_columns(header.entity)
    expected = ", ".join(required) + (f"; perhaps {', '.join(optional)}" if optional else "")
    kind = f"rejects of {header.entity.value}" if header.is_rejects else header.entity.value
    return "\n".join(
        (
            f"kind       {kind}",
            f"encoding   {header.encoding.value} ({CERTAINTY_SENTENCES[header.certainty]})",
            f"separator  {_SEPARATOR_NAMES[header.separator]}",
            f"columns    {', '.join(header.columns)}",
            f"expected   {expected}",
        )
    )


def _rejects(report: Report) -> str:
    lines = table(
        ("line", "reason", "message"), [(each.line, each.reason, each.message) for each in report.rejects]
    )
    more = report.rejected - len(report.rejects)
    return lines if not more else f"{lines}\n\n… and {more} more; --limit shows them."
