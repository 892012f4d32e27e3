"""What people write first to load a CSV file of orders or events: pandas, a few checks, psycopg2 and `execute_batch`.

    pandas_load.py orders|events FILE        with PEER_DSN in the environment; prints the rows a second

It keeps the rules that the loader keeps: whole numbers, known words, times and amounts of the same form, no key twice in
CHUNK_ROWS rows, a parent that is there, a newer version wins; what breaks one is written to a rejects file with its line and the reason.
All is one transaction, so that nothing is loaded in half. The checks are made column by column; with PEER_CHECKS=rows they are
made row by row, in a function, which is what one writes before one has read about speed. The page size is psycopg2's own.
"""

import os
import re
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import psycopg2
from psycopg2.extras import execute_batch

CHUNK_ROWS = 50_000
ID = r"[1-9][0-9]{0,17}"
AMOUNT = r"(?:0|[1-9][0-9]{0,9})(?:\.[0-9]{1,2})?"
STATUSES = {"pending", "paid", "cancelled", "shipped"}
TYPES = {"page_view", "add_to_cart", "purchase"}
ORDERS = """
INSERT INTO orders (order_id, user_id, order_date, status, total_amount, version) VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (order_id) DO UPDATE SET user_id = excluded.user_id, order_date = excluded.order_date, status = excluded.status,
  total_amount = excluded.total_amount, version = excluded.version
WHERE excluded.version > orders.version
"""
EVENTS = """
INSERT INTO events (event_id, user_id, event_type, product_id, event_timestamp) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (event_id) DO NOTHING
"""


def refuse(frame: pd.DataFrame, is_good: pd.Series, reason: str, rejects: list[pd.DataFrame]) -> pd.DataFrame:
    """The good ones; the others are kept with their reason."""
    if not is_good.all():
        rejects.append(frame[~is_good].assign(reason=reason))
    return frame[is_good]


def parents(cursor: "psycopg2.extensions.cursor", table: str, column: str) -> set[int]:
    cursor.execute(f"SELECT {column} FROM {table}")
    return {row[0] for row in cursor}


def moments(frame: pd.DataFrame, name: str, rejects: list[pd.DataFrame]) -> pd.DataFrame:
    times = pd.to_datetime(frame[name], utc=True, errors="coerce", format="ISO8601")
    frame = frame.assign(**{name: times})
    in_time = (
        times.notna() & (times >= "2000-01-01") & (times <= pd.Timestamp.now("UTC") + pd.Timedelta("24h"))
    )
    return refuse(frame, in_time, "time", rejects)


def orders(frame: pd.DataFrame, cursor: "psycopg2.extensions.cursor", rejects: list[pd.DataFrame]) -> None:
    frame = refuse(frame, frame.order_id.str.fullmatch(ID), "order_id", rejects)
    frame = refuse(frame, frame.user_id.str.fullmatch(ID), "user_id", rejects)
    frame = refuse(frame, frame.status.isin(STATUSES), "status", rejects)
    frame = refuse(frame, frame.total_amount.str.fullmatch(AMOUNT), "total_amount", rejects)
    frame = moments(frame, "order_date", rejects)
    frame = refuse(frame, ~frame.order_id.duplicated(), "duplicate", rejects)
    frame = refuse(
        frame, frame.user_id.astype("int64").isin(parents(cursor, "users", "user_id")), "parent", rejects
    )
    version = time.time_ns()
    rows = (
        (
            int(row.order_id),
            int(row.user_id),
            row.order_date.to_pydatetime(),
            row.status,
            row.total_amount,
            version,
        )
        for row in frame.itertuples(index=False)
    )
    execute_batch(cursor, ORDERS, rows)


def events(frame: pd.DataFrame, cursor: "psycopg2.extensions.cursor", rejects: list[pd.DataFrame]) -> None:
    frame = refuse(frame, frame.user_id.str.fullmatch(ID), "user_id", rejects)
    frame = refuse(frame, frame.product_id.str.fullmatch(f"(?:{ID})?"), "product_id", rejects)
    frame = refuse(frame, frame.event_type.isin(TYPES), "event_type", rejects)
    frame = moments(frame, "event_timestamp", rejects)
    frame = refuse(
        frame, frame.user_id.astype("int64").isin(parents(cursor, "users", "user_id")), "parent", rejects
    )
    known = parents(cursor, "products", "product_id")
    frame = refuse(
        frame, frame.product_id.map(lambda text: not text or int(text) in known), "parent", rejects
    )
    rows = (
        (
            row.event_id,
            int(row.user_id),
            row.event_type,
            int(row.product_id) if row.product_id else None,
            row.event_timestamp.to_pydatetime(),
        )
        for row in frame.itertuples(index=False)
    )
    execute_batch(cursor, EVENTS, rows)


def wrong_time(text: str) -> bool:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return True
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return not datetime(2000, 1, 1, tzinfo=UTC) <= moment <= datetime.now(UTC) + timedelta(hours=24)


def order_problem(row: pd.Series, users: set[int], seen: set[int]) -> str | None:
    forms = {"order_id": ID, "user_id": ID, "status": "|".join(STATUSES), "total_amount": AMOUNT}
    for name, form in forms.items():
        if not re.fullmatch(form, row[name]):
            return name
    if wrong_time(row.order_date):
        return "order_date"
    if int(row.order_id) in seen:
        return "duplicate"
    seen.add(int(row.order_id))
    return None if int(row.user_id) in users else "parent"


def event_problem(row: pd.Series, users: set[int], products: set[int]) -> str | None:
    forms = {"user_id": ID, "product_id": f"(?:{ID})?", "event_type": "|".join(TYPES)}
    for name, form in forms.items():
        if not re.fullmatch(form, row[name]):
            return name
    if wrong_time(row.event_timestamp):
        return "event_timestamp"
    is_known = int(row.user_id) in users and (not row.product_id or int(row.product_id) in products)
    return None if is_known else "parent"


def orders_by_row(
    frame: pd.DataFrame, cursor: "psycopg2.extensions.cursor", rejects: list[pd.DataFrame]
) -> None:
    users, seen, rows, version = parents(cursor, "users", "user_id"), set[int](), [], time.time_ns()
    for line, row in frame.iterrows():
        problem = order_problem(row, users, seen)
        if problem is None:
            rows.append((row.order_id, row.user_id, row.order_date, row.status, row.total_amount, version))
        else:
            rejects.append(frame.loc[[line]].assign(reason=problem))
    execute_batch(cursor, ORDERS, rows)


def events_by_row(
    frame: pd.DataFrame, cursor: "psycopg2.extensions.cursor", rejects: list[pd.DataFrame]
) -> None:
    users, products, rows = parents(cursor, "users", "user_id"), parents(cursor, "products", "product_id"), []
    for line, row in frame.iterrows():
        problem = event_problem(row, users, products)
        if problem is None:
            rows.append(
                (row.event_id, row.user_id, row.event_type, row.product_id or None, row.event_timestamp)
            )
        else:
            rejects.append(frame.loc[[line]].assign(reason=problem))
    execute_batch(cursor, EVENTS, rows)


LOADERS = {
    "columns": {"orders": orders, "events": events},
    "rows": {"orders": orders_by_row, "events": events_by_row},
}


def main(kind: str, file: Path) -> None:
    load = LOADERS[os.environ.get("PEER_CHECKS", "columns")][kind]
    rejects: list[pd.DataFrame] = []
    began, count = time.monotonic(), 0
    with psycopg2.connect(os.environ["PEER_DSN"]) as connection, connection.cursor() as cursor:
        for frame in pd.read_csv(file, dtype=str, keep_default_na=False, chunksize=CHUNK_ROWS):
            count += len(frame)
            load(frame, cursor, rejects)
    if rejects:
        pd.concat(rejects).to_csv(f"{file}.rejects", index=True)
    print(count / (time.monotonic() - began))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
