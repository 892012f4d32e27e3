"""The export is what the API answers, and is there whole or not at all."""

import csv
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.native import NativeStack

from tillstream_dags import export_revenue as exporting
from tillstream_dags.build_views import build_views
from tillstream_dags.export_revenue import export_revenue

pytestmark = pytest.mark.integration

AS_OF = datetime(2024, 2, 1, 3, 0, tzinfo=UTC)
PAGE_DAYS = 3_000  # query-api answers 3,660 at a time
FIRST_DAY = date(2000, 1, 1)


@pytest.fixture
def built(reports: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    build_views(reports)
    return reports


def pages(today: date) -> Iterator[tuple[date, date]]:
    """The days from today back to the first one that an order may have, in ranges that the API answers."""
    last = today + timedelta(days=2)
    while last >= FIRST_DAY:
        first = max(last - timedelta(days=PAGE_DAYS - 1), FIRST_DAY)
        yield first, last
        last = first - timedelta(days=1)


def of_the_api(stack: NativeStack) -> list[tuple[str, Decimal, int]]:
    rows = [
        row
        for first, last in pages(datetime.now(tz=UTC).date())
        for row in stack.get("/metrics/daily-revenue", **{"from": str(first), "to": str(last)})[
            "daily_revenue"
        ]
    ]
    return [(row["order_day"], Decimal(str(row["daily_revenue"])), row["total_orders"]) for row in rows]


def of_the_file(path: Path) -> list[tuple[str, Decimal, int]]:
    with path.open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    assert head == ["order_day", "daily_revenue", "total_orders"]
    return [(day, Decimal(revenue), int(orders)) for day, revenue, orders in rows]


def test_the_export_equals_the_answer_of_the_api(
    stack: NativeStack, built: psycopg.Connection[Any], tmp_path: Path
) -> None:
    dated, newest = export_revenue(built, tmp_path, AS_OF)

    assert newest == tmp_path / "daily_revenue.csv"
    assert dated == tmp_path / "daily_revenue-2024-02-01.csv"
    assert of_the_file(newest) == of_the_api(stack)
    assert len(of_the_file(newest)) == 14
    assert dated.read_bytes() == newest.read_bytes()


def test_a_second_export_has_the_same_bytes_and_leaves_nothing_behind(
    built: psycopg.Connection[Any], tmp_path: Path
) -> None:
    first = [path.read_bytes() for path in export_revenue(built, tmp_path, AS_OF)]

    assert [path.read_bytes() for path in export_revenue(built, tmp_path, AS_OF)] == first
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "daily_revenue-2024-02-01.csv",
        "daily_revenue.csv",
    ]


def test_an_export_that_breaks_off_leaves_the_one_before(
    built: psycopg.Connection[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_revenue(built, tmp_path, AS_OF)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def broken(_cursor: Any) -> Iterator[Any]:
        yield ("2024-01-01", "1.00", 1)
        raise OSError("No space left on device")

    monkeypatch.setattr(exporting, "_rows", broken)
    with pytest.raises(OSError, match="No space"):
        export_revenue(built, tmp_path, AS_OF)

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_link_under_the_name_of_a_half_written_file_is_not_followed(
    built: psycopg.Connection[Any], tmp_path: Path
) -> None:
    output, other = tmp_path / "output", tmp_path / "logins.json"
    output.mkdir()
    other.write_text("not ours")
    other.chmod(0o600)
    (output / ".daily_revenue.csv.half").symlink_to(other)

    paths = export_revenue(built, output, AS_OF)

    assert other.read_text() == "not ours"
    assert other.stat().st_mode & 0o777 == 0o600
    assert not any(path.is_symlink() for path in paths)


def test_an_output_that_is_no_folder_is_said(built: psycopg.Connection[Any], tmp_path: Path) -> None:
    (tmp_path / "output").write_text("in the way")

    with pytest.raises(NotADirectoryError):
        export_revenue(built, tmp_path / "output", AS_OF)
