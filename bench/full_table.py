"""The worker with millions of rows in the table of events, beside the same worker and an empty one; for both kinds of ids.

The two tables take turns under the name `events`, so that both rates of a round met the same neighbours. The full one was filled
with all indexes in place, and keeps what the rounds add.
"""

import time

import psycopg

from backlog import PARENTS, PRODUCTS, USERS
from draining import WITHIN_S, drain, pile_up
from machine import calibration_s
from memory import watching
from own_stack import own_stack, superuser, switched_off
from results import Bar, Figure, Row, ratios
from settings import EVENTS, ROWS, RUNS
from telling import told
from tillstream_native.places import ETL_WORKER

AT_LEAST = {"uuid7": 0.7, "random": 0.5}
# The ids of the last month, in the order in which they came; or any ids at all.
MADE = {
    "uuid7": "uuidv7(make_interval(secs => (n - {rows}) * 2592000.0 / {rows}))",
    "random": "gen_random_uuid()",
}
PIECE = 500_000
FILL = f"""
INSERT INTO shop.events (event_id, user_id, event_type, product_id, event_timestamp, source, accepted_at, kafka_partition, kafka_offset)
SELECT {{made}}, random(1, {USERS}), 'page_view', random(1, {PRODUCTS}), now() - random() * interval '30 days', 'shop', now(), 0, n
FROM generate_series({{first}}, {{last}}) AS n
"""
# The twin has the same columns, indexes and constraints, and lets the same role write.
TWIN = """
CREATE TABLE shop.events_twin (LIKE shop.events INCLUDING ALL);
ALTER TABLE shop.events_twin
    ADD FOREIGN KEY (user_id) REFERENCES shop.users (user_id) NOT ENFORCED,
    ADD FOREIGN KEY (product_id) REFERENCES shop.products (product_id) NOT ENFORCED;
GRANT SELECT, INSERT, UPDATE, DELETE ON shop.events_twin TO tillstream_worker;
"""
SWAP = """
BEGIN;
ALTER TABLE shop.events RENAME TO events_away;
ALTER TABLE shop.events_twin RENAME TO events;
ALTER TABLE shop.events_away RENAME TO events_twin;
COMMIT;
"""


def measure() -> list[Row]:
    """One row, both kinds of ids."""
    figures: list[Figure] = []
    with own_stack() as stack, superuser(stack) as connection, watching(stack) as watch:
        connection.execute(PARENTS)
        connection.execute(TWIN)
        for ids, limit in AT_LEAST.items():
            stack.supervisor.stop((ETL_WORKER,), WITHIN_S)
            _fill(connection, ids)
            found: dict[str, list[float]] = {"full": [], "empty": [], "additions": []}
            for _ in range(RUNS):
                found["additions"].append(calibration_s())
                pile_up(stack, EVENTS, ids)
                found["full"].append(drain(stack, connection, EVENTS))
                pile_up(stack, EVENTS, ids)
                connection.execute("TRUNCATE shop.events_twin")
                connection.execute(SWAP)
                found["empty"].append(drain(stack, connection, EVENTS))
                stack.supervisor.stop((ETL_WORKER,), WITHIN_S)
                connection.execute(SWAP)
                told(f"full-table, {ids}", **{name: values[-1] for name, values in found.items()})
            figures += [
                Figure(f"worker, full table, {ids} ids", "events/s", found["full"]),
                Figure(f"worker, empty table, {ids} ids", "events/s", found["empty"]),
                Figure(
                    f"full beside empty, {ids} ids",
                    "×",
                    ratios(found["full"], found["empty"]),
                    Bar.AT_LEAST,
                    limit,
                ),
                Figure(f"3M additions, {ids} ids", "s", found["additions"]),
            ]
    work = f"worker with {ROWS:,} rows in the table (the bars are for 10,000,000), beside an empty one"
    settings = f"{ROWS:,} rows beside none, backlogs of {EVENTS:,} events, {RUNS} runs"
    return [Row("full-table", work, settings, figures, watch.found())]


def _fill(connection: psycopg.Connection, ids: str) -> None:
    began = time.monotonic()
    connection.execute("TRUNCATE shop.events")
    with switched_off(connection, "fsync", "full_page_writes"):
        for first in range(1, ROWS + 1, PIECE):
            last = min(first + PIECE - 1, ROWS)
            connection.execute(FILL.format(made=MADE[ids].format(rows=ROWS), first=first, last=last))
        connection.execute("VACUUM (ANALYZE) shop.events")
    told(f"full-table, {ids}", rows=ROWS, seconds_to_fill=time.monotonic() - began)
