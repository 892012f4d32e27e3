"""A doctor's report as programs read it: the same from `tillstream csv-doctor --format json` and from a dry run over HTTP."""

from typing import Any

from tillstream.contracts.csv_rows import csv_columns
from tillstream.csv.doctor import Report

VERDICTS = ("loaded", "loaded_with_rejects", "archived", "refused", "unknown")


def verdict(report: Report) -> str:
    """One of VERDICTS; unknown where time was up before the end of the file, and nothing had refused it by then."""
    if report.error is not None:
        return "refused"
    if not report.is_complete:
        return "unknown"
    if report.header is None:
        return "archived"
    return "loaded_with_rejects" if report.rejected else "loaded"


def note(report: Report) -> str | None:
    """What a reader of the counts must know: that they are those of a part of the file."""
    if report.is_complete or report.error is not None:
        return None
    if not report.rows:
        return f"Time was up: {report.bytes} bytes were read, and none of its rows was examined."
    return f"Time was up: only the first {report.rows} rows were examined, which are its first {report.examined_bytes} bytes."


def diagnosis(file_name: str, report: Report) -> dict[str, Any]:
    """Its members are all there, whatever was found; what is not known is None."""
    header = report.header
    required, optional = csv_columns(header.entity) if header is not None else ((), ())
    return {
        "file_name": file_name,
        "bytes": report.bytes,
        "lines": report.lines,
        "verdict": verdict(report),
        "complete": report.is_complete,
        "note": note(report),
        "error": report.error,
        "kind": header and header.entity.value,
        "is_rejects_file": header and header.is_rejects,
        "encoding": header and header.encoding.value,
        "encoding_certainty": header and header.certainty.value,
        "separator": header and header.separator,
        "columns": header and list(header.columns),
        "required_columns": header and list(required),
        "optional_columns": header and list(optional),
        "rows": report.rows,
        "examined_bytes": report.examined_bytes,
        "would_load": report.accepted,
        "would_be_rejected": report.rejected,
        "reasons": dict(sorted(report.reasons.items())),
        "rejects": [
            {"line": each.line, "reason": each.reason, "message": each.message} for each in report.rejects
        ],
        "repeated_keys_are_complete": report.knows_all_keys,
    }
