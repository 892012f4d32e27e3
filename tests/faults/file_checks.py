"""C6: each file, dropped or sent, has one job, whose statement says what the ledger says; it lies where it belongs with the bytes that
it had, and its rejects beside it."""

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from faults.ledger import Filed
from faults.tables import Job
from faults.verdict import Kind, Problem, all_of
from tillstream.folders import REJECTS_SUFFIX, Folders, stored_name


def check_files(filed: Sequence[Filed], jobs: Sequence[Job], data: Path) -> list[Problem]:
    """What is wrong with the files, their statements and their folders."""
    folders = Folders(data)
    known = {each.name: each for each in filed}
    strange = [job.file_name for job in jobs if job.file_name not in known]
    problems = all_of(Kind.UNSENT, (f"a job for {name}, which nobody dropped" for name in strange))
    for name, each in known.items():
        own = [job for job in jobs if job.file_name == name]
        if len(own) == 1:
            problems += [Problem(kind, f"{name}: {text}") for kind, text in _of_one(each, own[0], folders)]
        else:
            problems.append(Problem(Kind.DOUBLED if own else Kind.LOST, f"{name} has {len(own)} jobs"))
    problems += all_of(Kind.UNFINISHED, (f"{name} is still on its way" for name in on_the_way(data)))
    failed = (f"{path.name} lies in error/" for path in folders.error.iterdir())
    return [*problems, *all_of(Kind.MISFILED, failed)]


def _of_one(filed: Filed, job: Job, folders: Folders) -> Iterator[Problem]:
    wanted = {
        "sha256": filed.sha256,
        "status": "loaded_with_rejects" if filed.rejected_lines else "loaded",
        "rows": filed.rows,
        "loaded": filed.loaded,
        "unchanged": 0,
        "superseded": 0,
        "duplicate": filed.duplicate,
        "parked": filed.parked,
        "rejected": len(filed.rejected_lines),
    }
    is_over = job.status == wanted["status"]
    kind = Kind.MISCOUNTED if is_over else Kind.UNFINISHED
    yield from all_of(kind, _differing(job._asdict(), wanted))
    name = stored_name(job.job_id, job.file_name)
    kept = folders.processed / name
    if not kept.is_file():
        yield Problem(Kind.MISFILED, "it does not lie in processed/")
    elif hashlib.sha256(kept.read_bytes()).hexdigest() != filed.sha256:
        yield Problem(Kind.ALTERED, "it has other bytes than it came with")
    rejects = folders.invalid / f"{name}{REJECTS_SUFFIX}"
    lines = list(_lines(rejects)) if rejects.is_file() else []
    if lines != list(filed.rejected_lines):
        told = f"its rejects file has the lines {lines}, not {filed.rejected_lines}"
        yield Problem(Kind.MISFILED, told)


def _differing(found: Mapping[str, object], wanted: Mapping[str, object]) -> Iterator[str]:
    for key, value in wanted.items():
        if found[key] != value:
            yield f"{key} is {found[key]}, not {value}"


def _lines(rejects: Path) -> Iterator[int]:
    rows = csv.DictReader(io.StringIO(rejects.read_text(encoding="utf-8-sig"), newline=""))
    return (int(row["line"]) for row in rows)


def on_the_way(data: Path) -> list[str]:
    """What lies in `input/` and `work/`."""
    folders = Folders(data)
    return [
        path.name for folder in (folders.input, folders.work) for path in folder.rglob("*") if path.is_file()
    ]
