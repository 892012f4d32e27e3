"""What became of a message."""

from enum import StrEnum


class OutcomeKind(StrEnum):
    """The one outcome that every message has."""

    STORED = "stored"
    UNCHANGED = "unchanged"
    SUPERSEDED = "superseded"
    DUPLICATE = "duplicate"
    PARKED = "parked"
    QUARANTINED = "quarantined"
