"""What a pass over the staged rows decided."""

from dataclasses import dataclass

from tillstream.contracts.outcomes import OutcomeKind
from tillstream.contracts.reasons import Reason


@dataclass(frozen=True, slots=True)
class Verdict:
    """`waits_for` and `waits_key` name the parent of a parked change."""

    outcome: OutcomeKind
    reason: Reason | None = None
    waits_for: str | None = None
    waits_key: int | None = None


STORED = Verdict(OutcomeKind.STORED)
DUPLICATE = Verdict(OutcomeKind.DUPLICATE)
ID_CONFLICT = Verdict(OutcomeKind.QUARANTINED, Reason.ID_CONFLICT)
REFUSED_BY_DATABASE = Verdict(OutcomeKind.QUARANTINED, Reason.REFUSED_BY_DATABASE)
