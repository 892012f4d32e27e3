"""The .sql files beside the DAG."""

from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

SQL = Path(__file__).resolve().parents[1] / "sql"
COMMENT = "--"


@dataclass(frozen=True, slots=True)
class SqlFile:
    """`name` is the file's without its suffix; its first lines, which are comments, say what it gives."""

    name: str
    text: str

    @property
    def description(self) -> str:
        comments = takewhile(lambda line: line.startswith(COMMENT), self.text.splitlines())
        return " ".join(line.removeprefix(COMMENT).strip() for line in comments)


def sql_files(folder: Path) -> list[SqlFile]:
    """Every .sql file of a folder in the order of their names."""
    return [SqlFile(path.stem, path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.sql"))]


def statement_of(name: str) -> str:
    """The text of one file under `sql/`."""
    return (SQL / name).read_text(encoding="utf-8")
