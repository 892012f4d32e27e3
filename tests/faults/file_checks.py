"""C6: each dropped file has one job, whose statement says what the ledger says; it lies where it belongs, with its rejects beside it."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from faults.ledger import Filed
from faults.tables import Job
from tillstream.folders import REJECTS_SUFFIX, Folders, stored_name


def check_files(filed: Sequence[Filed], jobs: Sequence[Job], data: Path) -> list[str]:
    """What is wrong with the files, their statements and their folders."""
    folders = Folders(data)
    known = {each.name: each for each in filed}
    problems = [
        f"a job for {job.file_name}, which nobody dropped" for job in jobs if job.file_name not in known
    ]
    for name, each in known.items():
        own = [job for job in jobs if job.file_name == name]
        if len(own) == 1:
            problems += [f"{name}: {problem}" for problem in _of_one(each, own[0], folders)]
        else:
            problems.append(f"{name} has {len(own)} jobs")
    problems += [f"{name} is still on its way" for name in on_the_way(data)]
    return problems + [f"{path.name} lies in error/" for path in folders.error.iterdir()]


def _of_one(filed: Filed, job: Job, folders: Folders) -> Iterator[str]:
    wanted = {
        "status": "loaded_with_rejects" if filed.rejected_lines else "loaded",
        "rows": filed.rows,
        "loaded": filed.loaded,
        "unchanged": 0,
        "superseded": 0,
        "duplicate": filed.duplicate,
        "parked": filed.parked,
        "rejected": len(filed.rejected_lines),
    }
    yield from _differing(job._asdict(), wanted)
    name = stored_name(job.job_id, job.file_name)
    if not (folders.processed / name).is_file():
        yield "it does not lie in processed/"
    rejects = folders.invalid / f"{name}{REJECTS_SUFFIX}"
    lines = list(_lines(rejects)) if rejects.is_file() else []
    if lines != list(filed.rejected_lines):
        yield f"its rejects file has the lines {lines}, not {filed.rejected_lines}"


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
