"""A copy of the shop's database without its constraints, so that data can be wrong in it at all."""

import psycopg
from psycopg import sql

from support.native import NativeStack

NAME = "unguarded"
# Parents first. How far the stream is lies in the last one, which is measured by a worker that this copy does not have.
TABLES = ("users", "products", "orders", "order_items", "events", "partition_progress")
GUARDS = """
SELECT conrelid::regclass::text, conname
FROM pg_constraint
WHERE connamespace = 'shop'::regnamespace AND contype IN ('c', 'f')
"""


def make_unguarded(stack: NativeStack) -> str:
    """Migrate a database, copy the shop's rows, drop every check and foreign key; nobody is connected to it afterwards."""
    with psycopg.connect(stack.dsn("postgres"), autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {} OWNER tillstream_owner").format(sql.Identifier(NAME)))
    stack.tillstream(
        "migrate",
        TILLSTREAM_OWNER_DATABASE_URL=stack.dsn("tillstream_owner", NAME),
        **{
            f"TILLSTREAM_{role.upper()}_PASSWORD_FILE": str(
                stack.state / "secrets" / f"tillstream_{role}.password"
            )
            for role in ("worker", "operator", "reader", "reports")
        },
    )
    with (
        psycopg.connect(stack.dsn("postgres")) as source,
        psycopg.connect(stack.dsn("postgres", NAME)) as copy,
    ):
        for table in TABLES:
            _copy_rows(source, copy, table)
        for table, constraint in copy.execute(GUARDS).fetchall():
            copy.execute(f"ALTER TABLE {table} DROP CONSTRAINT {constraint}".encode())
        copy.execute("UPDATE shop.partition_progress SET measured_at = now() + interval '1 day'")
    return NAME


def _copy_rows(source: psycopg.Connection, copy: psycopg.Connection, table: str) -> None:
    columns = source.execute(
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_schema = 'shop' AND table_name = %s AND is_generated = 'NEVER' ORDER BY ordinal_position",
        [table],
    ).fetchall()
    names = sql.SQL(", ").join(sql.Identifier(name) for (name,) in columns)
    place = sql.SQL("shop.{} ({})").format(sql.Identifier(table), names)
    with (
        source.cursor().copy(sql.SQL("COPY {} TO STDOUT").format(place)) as rows,
        copy.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(place)) as into,
    ):
        for piece in rows:
            into.write(piece)
