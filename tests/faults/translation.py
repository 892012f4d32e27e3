"""Ids that nobody knows when something is sent: they are made of where it comes to lie. The ledger gives such items ids of its
own, and what is found in the tables is translated into these."""

from uuid import UUID, uuid5

from tillstream.contracts.ids import payload_message_id
from tillstream.contracts.records import payload_hash

_FILED = UUID("0b9a2c1e-55d1-4f0e-8a6b-2f6d8a6f3c11")


def placeless_id(topic: str, payload: bytes) -> UUID:
    """In the ledger, of a record whose id will be made of topic, partition and offset; its payload is like no other."""
    return payload_message_id(topic, payload_hash(payload))


def filed_id(file_name: str, line: int) -> UUID:
    """In the ledger, of a row whose id will be made of its file's job and its line."""
    return uuid5(_FILED, f"{file_name}:{line}")
