"""Changes that want the same e-mail address, bring other contents under one id, or break their contract."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from psycopg import AsyncConnection

from tillstream.contracts.entities import Entity
from tillstream.contracts.messages import Message, Refusal
from tillstream.contracts.reasons import Reason
from tillstream.contracts.records import payload_hash

from .reading import rows
from .worlds import IDS, event, make, order, product, user

FEW_IDS = st.integers(1, 4)
EMAILS = st.sampled_from(["ann@example.org", "ANN@example.org", "bo@example.org", "cy@example.org"])
FIRST_EVENT_ID = 100  # changes and events have ids of their own, as the doors make them
BROKEN = Refusal(Reason.INVALID_EMAIL, "email must be an e-mail address.", "email")
CONTENTS = {
    Entity.USER: st.builds(user, IDS, st.sampled_from(["Ann", "Bo"]), EMAILS),
    Entity.PRODUCT: st.builds(product, st.just(1), st.sampled_from(["Lamp", "Vase"])),
    Entity.ORDER: st.builds(order, IDS, IDS, st.sampled_from(["pending", "paid"])),
    Entity.EVENT: st.builds(event, IDS, st.none() | st.just(1), st.sampled_from(["page_view", "purchase"])),
}
# Users three times: they have most to quarrel about.
ENTITIES = st.sampled_from([Entity.USER, Entity.USER, *CONTENTS])


@st.composite
def rivals(draw: st.DrawFn) -> list[Message]:
    """Messages of which several may share an id, an address or both, and some are refused already."""
    drawn = []
    for place in range(draw(st.integers(1, 12))):
        entity = draw(ENTITIES)
        number = draw(FEW_IDS) + (FIRST_EVENT_ID if entity is Entity.EVENT else 0)
        message = make(entity, draw(CONTENTS[entity]), number=number, at=draw(st.integers(0, 3)))
        drawn.append(refused_already(message, place) if draw(st.integers(0, 5)) == 0 else message)
    return drawn


def refused_already(message: Message, place: int) -> Message:
    """The message as a door makes it of something that breaks its contract; another `place`, another content."""
    payload = b"not a record, number %d" % place
    return replace(message, content=None, refusal=BROKEN, payload=payload, content_hash=payload_hash(payload))


@dataclass(frozen=True, slots=True)
class Kept:
    """Where contents lie: (message id, content hash), of quarantined ones with the reason."""

    accepted: set[tuple[UUID, bytes]]
    parked: set[tuple[UUID, bytes]]
    quarantined: dict[tuple[UUID, bytes], str]
    entries: int


async def read_kept(conn: AsyncConnection, messages: Sequence[Message]) -> Kept:
    """What became of each content, from the tables alone."""
    open_entries = await rows(
        conn, "SELECT message_id, content_hash, reason FROM shop.quarantine WHERE resolved_at IS NULL"
    )
    accepted = await rows(
        conn,
        "SELECT message_id, content_hash FROM shop.changes WHERE outcome IN ('stored', 'unchanged', 'superseded')",
    )
    return Kept(
        accepted=set(accepted) | await _stored_events(conn, messages),
        parked=set(await rows(conn, "SELECT message_id, content_hash FROM shop.parked")),
        quarantined={(message_id, content_hash): reason for message_id, content_hash, reason in open_entries},
        entries=len(open_entries),
    )


async def _stored_events(conn: AsyncConnection, messages: Sequence[Message]) -> set[tuple[UUID, bytes]]:
    """The table of events keeps no hash, so each row is looked up among what was sent under its id."""
    stored = await rows(conn, "SELECT event_id, user_id, event_type, product_id FROM shop.events")
    sent = {(m.message_id, *_event_row(m.content)): m.content_hash for m in messages if _is_event(m)}
    return {(row[0], sent[row]) for row in stored}


def _is_event(message: Message) -> bool:
    return message.entity is Entity.EVENT and message.content is not None


def _event_row(content: dict[str, Any] | None) -> tuple[Any, ...]:
    assert content is not None, "only good events are asked for"
    return content["user_id"], content["event_type"], content.get("product_id")
