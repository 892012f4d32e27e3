"""One pass over the staged changes of users, products, orders and order items."""

from collections.abc import Sequence
from typing import Any, LiteralString

from psycopg import AsyncConnection

from tillstream.apply.statements import CHANGES, ORDER_ITEMS, ORDERS, PRODUCTS, STAGING, USERS
from tillstream.apply.verdicts import Verdict
from tillstream.contracts.entities import Entity
from tillstream.contracts.outcomes import OutcomeKind
from tillstream.contracts.reasons import Reason

# Honest batches need one or two. A chain of users who each wait for the next one's address needs one round per user.
MAX_EMAIL_ROUNDS = 20


class ChangePass:
    """Judges and writes the rows that are active in `incoming`. One object serves one transaction."""

    def __init__(self, conn: AsyncConnection) -> None:
        self._conn = conn

    async def activate(self, ords: Sequence[int]) -> None:
        """From now on the pass sees these rows only."""
        await self._conn.execute(STAGING["activate"], {"ords": list(ords)})

    async def run(self, ords: Sequence[int]) -> dict[int, Verdict]:
        """`ords` are the active rows. Entity by entity, parents first; in every table rows are taken in the order of their keys."""
        present = {row[0] for row in await self._fetch(STAGING["entities"])}
        await self._conn.execute(CHANGES["claim"])
        await self._conn.execute(CHANGES["recall"])
        if Entity.USER in present:
            await self._apply_users()
        if Entity.PRODUCT in present:
            await self._conn.execute(PRODUCTS["upsert"])
        if present & {Entity.ORDER, Entity.ORDER_ITEM}:
            await self._conn.execute(ORDERS["lock"])
        if Entity.ORDER in present:
            for name in ("park", "upsert", "apply_sets"):
                await self._conn.execute(ORDERS[name])
        if Entity.ORDER_ITEM in present:
            await self._conn.execute(ORDER_ITEMS["park"])
            # An order that came since the first lock: its next set must not pass by an item that it cannot see yet.
            await self._conn.execute(ORDERS["lock"])
            await self._conn.execute(ORDER_ITEMS["upsert"])
        await self._conn.execute(CHANGES["settle"])
        return await self._verdicts(ords)

    async def refuse(self, ords: Sequence[int], verdict: Verdict) -> dict[int, Verdict]:
        """Marks the active rows without touching the tables of the shop."""
        await self._conn.execute(CHANGES["claim"])
        await self._conn.execute(CHANGES["recall"])
        await self._conn.execute(
            STAGING["refuse"], {"outcome": verdict.outcome, "reason": verdict.reason and verdict.reason.value}
        )
        await self._conn.execute(CHANGES["settle"])
        return await self._verdicts(ords)

    async def _apply_users(self) -> None:
        await self._conn.execute(USERS["check_emails_later"])
        for _ in range(MAX_EMAIL_ROUNDS):
            refused = await self._conn.execute(USERS["refuse_taken_emails"])
            if refused.rowcount == 0:
                break
        else:
            await self._conn.execute(USERS["refuse_contested_emails"])
        await self._conn.execute(USERS["upsert"])
        await self._conn.execute(USERS["check_emails_now"])

    async def _verdicts(self, ords: Sequence[int]) -> dict[int, Verdict]:
        verdicts = {
            ord_: Verdict(OutcomeKind(outcome), Reason(reason) if reason else None, waits_for, waits_key)
            for ord_, outcome, reason, waits_for, waits_key in await self._fetch(STAGING["verdicts"])
        }
        assert verdicts.keys() == set(ords), "every active row has its verdict"
        return verdicts

    async def _fetch(self, statement: LiteralString) -> list[tuple[Any, ...]]:
        cursor = await self._conn.execute(statement)
        return await cursor.fetchall()
