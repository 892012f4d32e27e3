"""`build_sql_views`: the analytical views of schema `reports`, from the files under `sql/views/`. Safe to repeat."""

import logging
from pathlib import Path

from tillstream_dags.database import Connection, Cursor, transaction
from tillstream_dags.sql_files import SQL, SqlFile, sql_files

SCHEMA = "reports"
TABLES = SQL / "tables"
VIEWS = SQL / "views"

_log = logging.getLogger(__name__)


def build_views(connection: Connection, tables: Path = TABLES, views: Path = VIEWS) -> list[str]:
    """Make all of them or change nothing, in one transaction; the names of the views.

    Readers see the old view until the commit. One whose columns are the same keeps its identity and what was granted
    on it; one whose columns changed is dropped and made anew, which PostgreSQL refuses, with a sentence, where other
    objects stand on it.
    """
    scripts = sql_files(views)
    with transaction(connection) as cursor:
        for table in sql_files(tables):
            cursor.execute(table.text)
        for view in scripts:
            _build(cursor, view)
    _log.info("Built %d views in schema %s.", len(scripts), SCHEMA)
    return [view.name for view in scripts]


def _build(cursor: Cursor, view: SqlFile) -> None:
    if not _has_same_columns(cursor, view):
        cursor.execute(f"DROP VIEW IF EXISTS {SCHEMA}.{view.name}")
    cursor.execute(f"CREATE OR REPLACE VIEW {SCHEMA}.{view.name} AS\n{view.text}")
    described = view.description.replace("'", "''")
    cursor.execute(f"COMMENT ON VIEW {SCHEMA}.{view.name} IS '{described}'")


def _has_same_columns(cursor: Cursor, view: SqlFile) -> bool:
    """Whether CREATE OR REPLACE would do: it may neither rename, retype nor drop a column."""
    probe = f"{view.name}_probe"
    cursor.execute(f"CREATE VIEW {SCHEMA}.{probe} AS\n{view.text}")
    cursor.execute(
        """
        SELECT array_agg((a.attname, format_type(a.atttypid, a.atttypmod))::text ORDER BY a.attnum)
        FROM pg_class AS c
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
        WHERE c.relnamespace = %(schema)s::regnamespace AND c.relname IN (%(probe)s, %(name)s)
        GROUP BY c.relname
        """,
        {"schema": SCHEMA, "probe": probe, "name": view.name},
    )
    shapes = [row[0] for row in cursor.fetchall()]
    cursor.execute(f"DROP VIEW {SCHEMA}.{probe}")
    return len(shapes) == 2 and shapes[0] == shapes[1]  # noqa: PLR2004 - the probe and the view that is there
