"""The committed samples keep their own promises: what a contract alone can tell of each row."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from e2e.driver import DIRTY, KINDS, SAMPLE, read_csv
from tillstream.contracts.csv_rows import refused_row, row_message
from tillstream.contracts.messages import Message
from tillstream.csv.header import Header, read_header
from tillstream.csv.rows import Row, RowReader

pytestmark = pytest.mark.unit

UTC_ZONE = ZoneInfo("UTC")
MAX_ROWS = 1_000
MAX_BYTES = 10_000_000
# What only the other rows of the file, or the tables, can tell.
NOT_FROM_THE_ROW = {"duplicate_key", "duplicate_email", "id_conflict"}


@dataclass(frozen=True)
class Job:
    job_id: UUID
    claimed_at: datetime
    source: str = "shop"
    as_of: datetime | None = None


JOB = Job(uuid4(), datetime.now(UTC))


def rows(path: Path) -> Iterator[tuple[Header, Row]]:
    with path.open("rb") as file:
        header = read_header(file, path.name)
        reader = RowReader(file, header.separator, len(header.columns), header.next_byte, header.next_line)
        for row in reader.read_chunk(MAX_ROWS, MAX_BYTES).rows:
            yield header, row


def message(header: Header, row: Row) -> Message:
    if row.refusal is not None:
        return refused_row(
            header.entity, row.refusal, payload=row.raw, job=JOB, line=row.line, shop_timezone=UTC_ZONE
        )
    assert row.cells is not None
    return accepted(header, dict(zip(header.columns, row.cells, strict=True)), row)


def accepted(header: Header, cells: Mapping[str, str], row: Row) -> Message:
    return row_message(header.entity, cells, payload=row.raw, job=JOB, line=row.line, shop_timezone=UTC_ZONE)


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_of_the_sample_shop_keeps_its_contract(kind: str) -> None:
    messages = [message(header, row) for header, row in rows(SAMPLE / f"{kind}.csv")]
    assert messages
    assert [each.refusal for each in messages if each.refusal is not None] == []


def test_order_totals_are_their_items_and_perhaps_shipping() -> None:
    over = {
        int(order["order_id"]): Decimal(order["total_amount"])
        for order in read_csv((SAMPLE / "orders.csv").read_bytes())
    }
    for item in read_csv((SAMPLE / "order_items.csv").read_bytes()):
        over[int(item["order_id"])] -= int(item["quantity"]) * Decimal(item["unit_price"])
    assert {order_id: rest for order_id, rest in over.items() if rest} == {
        3: Decimal("4.99"),
        17: Decimal("4.99"),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_every_dirty_row_is_refused_for_its_one_reason_and_loads_once_corrected(kind: str) -> None:
    expected = json.loads((DIRTY / "expected.json").read_text())[f"{kind}.csv"]["lines"]
    for header, row in rows(DIRTY / f"{kind}.csv"):
        wanted = expected.pop(str(row.line))
        refusal = message(header, row).refusal
        if wanted.get("reason") in {None, *NOT_FROM_THE_ROW}:
            assert refusal is None, (kind, row.line, refusal)
        else:
            assert refusal is not None, (kind, row.line)
            assert refusal.reason == wanted["reason"]
        if "corrected" in wanted:
            cells = dict(zip(header.columns, wanted["corrected"], strict=True))
            assert accepted(header, cells, row).refusal is None
    assert expected == {}
