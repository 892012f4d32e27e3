"""How much PostgreSQL looks at for an answer: a figure that is the same on a slow machine."""

from collections.abc import Iterator, Mapping
from typing import Any, LiteralString

from psycopg import AsyncConnection


async def rows_looked_at(conn: AsyncConnection, statement: LiteralString, values: Mapping[str, Any]) -> float:
    """Over all steps of the plan. The statement is run, and undone."""
    async with conn.transaction(force_rollback=True):
        explained = b"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) " + statement.encode()
        ((plan,),) = await (await conn.execute(explained, values)).fetchall()
    return sum(map(_looked_at, _nodes(plan[0]["Plan"])))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _looked_at(node: dict[str, Any]) -> float:
    """PostgreSQL tells averages over the loops."""
    removed = sum(count for name, count in node.items() if name.startswith("Rows Removed by"))
    return float(node["Actual Loops"] * (node["Actual Rows"] + removed))
