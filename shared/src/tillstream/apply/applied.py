"""What the engine says of each message."""

from typing import NamedTuple

from tillstream.contracts.messages import Message
from tillstream.contracts.outcomes import OutcomeKind
from tillstream.contracts.plain_events import PlainEvent
from tillstream.contracts.reasons import Reason


class Applied(NamedTuple):
    """What became of one message. A named tuple: there are 50,000 of them a second."""

    message: Message | PlainEvent
    outcome: OutcomeKind
    reason: Reason | None = None
