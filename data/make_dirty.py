# ruff: noqa: INP001, T201 - a script of its own, which talks to a person
"""Writes data/sample-dirty/: five files with every kind of broken row, and what must become of each row.

Run it as `python data/make_dirty.py`. It is deterministic; the committed files are the truth. The files stand on their own: they
bring the parents that their good rows need, and no id of theirs is one of data/sample/, so both sets load into one shop.

`expected.json` says for each file the counts of its first statement, and for each row, by its line: the outcome, the reason of a
refused one and its corrected cells, or the parent that a parked one waits for. `late/` holds those parents.
"""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DIRTY_DIR = Path(__file__).parent / "sample-dirty"
# One byte more than the longest row that the reader takes.
TOO_LONG = "x" * 65_537
TOO_WIDE = "n" * 321
SIDE_OF_OUTCOME = {
    "stored": "loaded",
    "duplicate": "duplicate",
    "parked": "parked",
    "quarantined": "rejected",
}
SIDES = ("loaded", "unchanged", "superseded", "duplicate", "parked", "rejected")

type Cells = Sequence[str]


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its bytes without the line end, and what must become of it."""

    raw: bytes
    outcome: str = "stored"
    reason: str | None = None
    corrected: Cells | None = None
    waits_for: tuple[str, int] | None = None


def good(text: str) -> Row:
    return Row(text.encode())


def bad(reason: str, raw: str | bytes, corrected: str) -> Row:
    """A row that is refused, and how it reads once a person has corrected it."""
    return Row(
        raw if isinstance(raw, bytes) else raw.encode(), "quarantined", reason, next(csv.reader([corrected]))
    )


def again(text: str) -> Row:
    """A row that says what an earlier one said."""
    return Row(text.encode(), "duplicate")


def early(text: str, parent: str, key: int) -> Row:
    """A row whose parent is not there yet."""
    return Row(text.encode(), "parked", waits_for=(parent, key))


USERS = (
    "user_id,name,email,signup_date",
    good("101,Nadia Benali,nadia@example.org,2023-01-01"),
    good("102,Oskar Lind,oskar@example.org,2023-01-02T08:15:00+01:00"),
    bad("invalid_email", "103,Paula Reyes,paula.example.org,2023-01-03", "103,Paula Reyes,paula@example.org,2023-01-03"),
    bad("invalid_email", "104,Quentin Roy,quentin@home@example.org,2023-01-03", "104,Quentin Roy,quentin@example.org,2023-01-03"),
    bad("invalid_id", "1_05,Rosa Lund,rosa@example.org,2023-01-04", "105,Rosa Lund,rosa@example.org,2023-01-04"),
    bad("invalid_id", "0,Sami Koski,sami@example.org,2023-01-04", "106,Sami Koski,sami@example.org,2023-01-04"),
    bad("invalid_text", "107,Tina\tVogel,tina@example.org,2023-01-05", "107,Tina Vogel,tina@example.org,2023-01-05"),
    bad("invalid_text", f"108,{TOO_WIDE},uma@example.org,2023-01-05", "108,Uma Nair,uma@example.org,2023-01-05"),
    bad("invalid_text", b"109,Zo\xeb Vidal,zoe@example.org,2023-01-05", "109,Zoë Vidal,zoe@example.org,2023-01-05"),
    bad("invalid_timestamp", "110,Wim Maes,wim@example.org,31/12/2023", "110,Wim Maes,wim@example.org,2023-12-31"),
    bad("invalid_timestamp", "111,Xenia Popa,xenia@example.org,1999-12-31", "111,Xenia Popa,xenia@example.org,2019-12-31"),
    bad("duplicate_key", "101,Yusuf Demir,yusuf@example.org,2023-01-06", "112,Yusuf Demir,yusuf@example.org,2023-01-06"),
    bad("duplicate_email", "113,Nadia Haddad,NADIA@example.org,2023-01-07", "113,Nadia Haddad,nadia.haddad@example.org,2023-01-07"),
    bad("missing_field", "117,,dana@example.org,2023-01-08", "117,Dana Ilves,dana@example.org,2023-01-08"),
    bad("ragged_row", "114,Arne,Berg,arne@example.org,2023-01-08", "114,Arne Berg,arne@example.org,2023-01-08"),
    bad("ragged_row", "115,Bo Chen,bo@example.org", "115,Bo Chen,bo@example.org,2023-01-09"),
    good('116,"Cleo ""Kit"" Marsh",cleo@example.org,2023-01-10'),
)  # fmt: skip
PRODUCTS = (
    "product_id,product_name,category,price",
    good("201,Garden Chair,Garden,79.00"),
    good('202,"Hose, 20 m",Garden,24.5'),
    bad("negative_amount", "203,Seed Mix,Garden,-3.20", "203,Seed Mix,Garden,3.20"),
    bad("invalid_amount", "204,Watering Can,Garden,12.345", "204,Watering Can,Garden,12.35"),
    bad("invalid_amount", "205,Wheelbarrow,Garden,1e2", "205,Wheelbarrow,Garden,100.00"),
    bad("invalid_amount", '206,Lawn Mower,Garden,"1,299.00"', "206,Lawn Mower,Garden,1299.00"),
    bad("ragged_row", '207,"Rake" Pro,Garden,19.90', "207,Rake Pro,Garden,19.90"),
    bad("record_too_large", f"208,{TOO_LONG},Garden,5.00", "208,Plant Labels,Garden,5.00"),
    bad("duplicate_key", "202,Hose Reel,Garden,59.00", "209,Hose Reel,Garden,59.00"),
    bad("invalid_text", '210,"Bird\nBath",Garden,49.00', "210,Bird Bath,Garden,49.00"),
)
ORDERS = (
    "order_id,user_id,order_date,status,total_amount",
    good("3001,101,2023-02-01T09:00:00Z,pending,79.00"),
    good("3002,102,2023-02-01T10:30:00+01:00,shipped,103.50"),
    bad("invalid_status", "3003,101,2023-02-02T11:00:00Z,returned,24.50", "3003,101,2023-02-02T11:00:00Z,cancelled,24.50"),
    bad("invalid_timestamp", "3004,101,1675335600,pending,24.50", "3004,101,2023-02-02T11:00:00Z,pending,24.50"),
    bad("negative_amount", "3005,102,2023-02-03T12:00:00Z,cancelled,-24.50", "3005,102,2023-02-03T12:00:00Z,cancelled,24.50"),
    bad("invalid_amount", "3006,102,2023-02-03T12:00:00Z,pending,$24.50", "3006,102,2023-02-03T12:00:00Z,pending,24.50"),
    bad("invalid_id", "3007,1.0,2023-02-04T13:00:00Z,pending,79.00", "3007,101,2023-02-04T13:00:00Z,pending,79.00"),
    bad("duplicate_key", "3002,101,2023-02-04T14:00:00Z,pending,79.00", "3008,101,2023-02-04T14:00:00Z,pending,79.00"),
    bad("ragged_row", "3009,101,2023-02-04T15:00:00Z", "3009,101,2023-02-04T15:00:00Z,pending,79.00"),
    early("3010,9101,2023-02-05T16:00:00Z,pending,24.50", "user", 9101),
)  # fmt: skip
ORDER_ITEMS = (
    "order_item_id,order_id,product_id,quantity,unit_price",
    good("4001,3001,201,1,79.00"),
    good("4002,3002,201,1,79.00"),
    bad("invalid_number", "4003,3002,202,one,24.50", "4003,3002,202,1,24.50"),
    bad("negative_amount", "4004,3001,202,-1,24.50", "4004,3001,202,1,24.50"),
    bad("negative_amount", "4005,3001,202,1,-24.50", "4005,3001,202,1,24.50"),
    bad("invalid_amount", "4006,3001,202,1,24.505", "4006,3001,202,1,24.51"),
    bad("invalid_id", "four,3001,202,1,24.50", "4007,3001,202,1,24.50"),
    bad("duplicate_key", "4001,3002,202,1,24.50", "4008,3002,202,1,24.50"),
    early("4009,9301,201,1,79.00", "order", 9301),
    early("4010,3002,9201,2,10.00", "product", 9201),
)
EVENTS = (
    "event_id,user_id,event_type,product_id,event_timestamp",
    good("g-1,101,page_view,201,2023-02-01T08:50:00Z"),
    good("g-2,101,add_to_cart,201,2023-02-01T08:55:00Z"),
    good("6f9619ff-8b86-4d01-b42d-00cf4fc964ff,101,purchase,201,2023-02-01T09:00:00Z"),
    good(",102,page_view,,2023-02-01T09:10:00Z"),
    again("g-1,101,page_view,201,2023-02-01T08:50:00Z"),
    again(",102,page_view,,2023-02-01T09:10:00Z"),
    bad("id_conflict", "g-2,102,add_to_cart,202,2023-02-01T09:20:00Z", "g-3,102,add_to_cart,202,2023-02-01T09:20:00Z"),
    bad("invalid_event_type", "g-4,102,purchased,202,2023-02-01T09:30:00Z", "g-4,102,purchase,202,2023-02-01T09:30:00Z"),
    bad("invalid_timestamp", "g-5,102,page_view,202,2023-02-30T09:30:00Z", "g-5,102,page_view,202,2023-02-28T09:30:00Z"),
    bad("invalid_timestamp", "g-6,102,page_view,202,2224-02-01T09:30:00Z", "g-6,102,page_view,202,2023-02-01T09:30:00Z"),
    bad("invalid_id", "g-7,-102,page_view,202,2023-02-01T09:40:00Z", "g-7,102,page_view,202,2023-02-01T09:40:00Z"),
    bad("invalid_id", "g-8,102,page_view,9223372036854775808,2023-02-01T09:40:00Z", "g-8,102,page_view,202,2023-02-01T09:40:00Z"),
    bad("missing_field", "g-12,,page_view,202,2023-02-01T09:45:00Z", "g-12,102,page_view,202,2023-02-01T09:45:00Z"),
    bad("ragged_row", "g-9,102,page_view,202,2023-02-01T09:50:00Z,", "g-9,102,page_view,202,2023-02-01T09:50:00Z"),
    early("g-10,9101,page_view,,2023-02-01T10:00:00Z", "user", 9101),
    early("g-11,102,page_view,9201,2023-02-01T10:10:00Z", "product", 9201),
)  # fmt: skip
FILES = {
    "users.csv": USERS,
    "products.csv": PRODUCTS,
    "orders.csv": ORDERS,
    "order_items.csv": ORDER_ITEMS,
    "events.csv": EVENTS,
}
LATE = {
    "users.csv": ("user_id,name,email,signup_date", "9101,Lena Late,lena@example.org,2023-01-01"),
    "products.csv": ("product_id,product_name,category,price", "9201,Late Lamp,Garden,10.00"),
    "orders.csv": (
        "order_id,user_id,order_date,status,total_amount",
        "9301,101,2023-02-06T09:00:00Z,pending,79.00",
    ),
}


def expected_of(rows: Sequence[Row]) -> dict[str, object]:
    """The statement and the rows of one file, by the line on which each begins."""
    line = 2
    lines: dict[str, dict[str, object]] = {}
    counts = dict.fromkeys(SIDES, 0)
    for row in rows:
        entry: dict[str, object] = {"outcome": row.outcome}
        if row.reason is not None and row.corrected is not None:
            entry |= {"reason": row.reason, "corrected": list(row.corrected)}
        if row.waits_for is not None:
            entry |= {"waits_for": row.waits_for[0], "waits_key": row.waits_for[1]}
        lines[str(line)] = entry
        counts[SIDE_OF_OUTCOME[row.outcome]] += 1
        line += 1 + row.raw.count(b"\n")
    return {"statement": {"rows": len(rows), **counts}, "lines": lines}


def rendered(expected: dict[str, dict[str, object]]) -> str:
    """JSON for people: one row of a file, one line."""
    parts = []
    for name, file in expected.items():
        lines = file["lines"]
        assert isinstance(lines, dict)
        entries = ",\n".join(f'      "{line}": {dumped(entry)}' for line, entry in lines.items())
        parts.append(
            f'  "{name}": {{\n    "statement": {dumped(file["statement"])},\n    "lines": {{\n{entries}\n    }}\n  }}'
        )
    return "{\n" + ",\n".join(parts) + "\n}\n"


def dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def main() -> None:
    (DIRTY_DIR / "late").mkdir(parents=True, exist_ok=True)
    expected: dict[str, dict[str, object]] = {}
    for name, (header, *rows) in FILES.items():
        assert isinstance(header, str)
        checked = [row for row in rows if isinstance(row, Row)]
        content = io.BytesIO()
        content.writelines(line + b"\n" for line in (header.encode(), *(row.raw for row in checked)))
        (DIRTY_DIR / name).write_bytes(content.getvalue())
        expected[name] = expected_of(checked)
    for name, lines in LATE.items():
        (DIRTY_DIR / "late" / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    (DIRTY_DIR / "expected.json").write_text(rendered(expected), encoding="utf-8")
    print(f"{len(FILES)} files are in {DIRTY_DIR.name}/, their parents in late/.")


if __name__ == "__main__":
    main()
