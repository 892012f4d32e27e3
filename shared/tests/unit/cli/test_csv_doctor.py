"""`tillstream csv-doctor`: what it prints, and the code with which it ends."""

import gzip
import json
import os
from pathlib import Path

import pytest

from tillstream.cli.main import main
from tillstream.contracts.csv_rows import csv_columns
from tillstream.contracts.entities import Entity

pytestmark = pytest.mark.unit

HEAD = b"user_id;name;email;signup_date\n"
GOOD = HEAD + "1;Zoë;zoe@example.org;2024-01-05\n".encode()
DIRTY = GOOD + b"2;Bob;bob;2024-01-06\n3;\x1b[31m\n1;Zoe;zoe@example.org;2024-01-05\n"


def run(*arguments: str | Path) -> int:
    try:
        return main(["csv-doctor", *map(str, arguments)])
    except SystemExit as ended:
        return int(str(ended.code))


def written(folder: Path, content: bytes, name: str = "users.csv") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_a_good_file_ends_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(written(tmp_path, GOOD)) == 0
    said = capsys.readouterr().out
    assert said.startswith(
        f"users.csv ({len(GOOD)} bytes, 2 lines): 1 row, of which 1 would load and 0 would be rejected.\n"
    )
    assert "kind       user\nencoding   utf-8 (every byte of the file fits)\nseparator  semicolon\n" in said
    assert (
        "columns    user_id, name, email, signup_date\nexpected   user_id, name, email, signup_date; perhaps"
        in said
    )


def test_rejects_end_with_1_and_are_said_one_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(written(tmp_path, DIRTY), "--limit", "2") == 1
    said = capsys.readouterr().out
    assert "4 rows, of which 1 would load and 3 would be rejected." in said
    lines = said.splitlines()
    assert [line.split()[:2] for line in lines if line.startswith("   ")] == [
        ["3", "invalid_email"],
        ["4", "ragged_row"],
    ]
    assert "… and 1 more; --limit shows them." in said
    assert "\x1b" not in said


def test_json_has_all_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(written(tmp_path, DIRTY), "--format", "json") == 1
    required, optional = csv_columns(Entity.USER)
    said = json.loads(capsys.readouterr().out)
    messages = [each.pop("message") for each in said["rejects"]]
    assert all(messages)
    assert said == {
        "file_name": "users.csv",
        "bytes": len(DIRTY),
        "lines": 5,
        "verdict": "loaded_with_rejects",
        "complete": True,
        "note": None,
        "error": None,
        "kind": "user",
        "is_rejects_file": False,
        "encoding": "utf-8",
        "encoding_certainty": "whole_file",
        "separator": ";",
        "columns": ["user_id", "name", "email", "signup_date"],
        "required_columns": list(required),
        "optional_columns": list(optional),
        "rows": 4,
        "examined_bytes": len(DIRTY),
        "would_load": 1,
        "would_be_rejected": 3,
        "reasons": {"duplicate_key": 1, "invalid_email": 1, "ragged_row": 1},
        "rejects": [
            {"line": 3, "reason": "invalid_email"},
            {"line": 4, "reason": "ragged_row"},
            {"line": 5, "reason": "duplicate_key"},
        ],
        "repeated_keys_are_complete": True,
    }


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        (
            "users.csv",
            b"user_id,name\n",
            "would be refused: unknown_header: found the columns 'user_id', 'name'; a file of users has",
        ),
        ("users.csv", b"", "would be refused: empty_file: the file has no header row."),
        ("notes", b"one\n", "would be archived as it is: it has no header that is known."),
        (
            "users.txt",
            HEAD + b"1;Zoe;zoe@example.org;2024-01-05\n",
            "would be archived as it is: a name that ends in .txt says that it is text; name it .csv to have its rows loaded.",
        ),
        (
            "users.txt.gz",
            gzip.compress(HEAD + b"1;Zoe;zoe@example.org;2024-01-05\n", mtime=0),
            "a name that ends in .txt says that it is text",
        ),
        (
            "users.csv",
            HEAD + b"1;" + b"x" * 17_000_000,
            "The file would fail: line_too_long: line 2 has no end",
        ),
    ],
)
def test_a_file_that_would_not_load_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes, sentence: str
) -> None:
    path = written(tmp_path, content, name)
    assert run(path) == 1
    assert sentence in capsys.readouterr().out
    assert run(path, "--format", "json") == 1
    said = json.loads(capsys.readouterr().out)
    assert said["verdict"] == ("refused" if name == "users.csv" else "archived")


def test_an_encoding_is_declared_by_an_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, HEAD + b"1;Zo\xeb;zoe@example.org;2024-01-05\n")
    assert run(path) == 1
    assert "0xeb. Save the file as UTF-8, or declare its encoding." in capsys.readouterr().out
    assert run(path, "--encoding", "windows-1252") == 0
    assert "encoding   windows-1252 (declared; the file is no UTF-8)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "the following arguments are required: FILE"),
        (("missing.csv",), "FILE cannot be read: No such file or directory."),
        ((".",), "FILE cannot be read: "),
        (("pipe",), "FILE cannot be read: not_a_regular_file: only regular files are read."),
        (("x.csv", "--encoding", "utf-9"), "argument --encoding: invalid choice: 'utf-9'"),
        (("x.csv", "--limit", "0"), "argument --limit: must be a whole number from 1 to 10000"),
    ],
)
def test_wrong_arguments_end_with_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert run(*arguments) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert sentence in said.err


def test_a_file_is_examined_through_a_link(tmp_path: Path) -> None:
    link = tmp_path / "link.csv"
    link.symlink_to(written(tmp_path, GOOD))
    assert run(link) == 0
