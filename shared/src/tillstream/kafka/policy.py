"""The bounds of a consumer loop."""

from dataclasses import dataclass, field

from tillstream.kafka.waiting import Backoff


@dataclass(frozen=True, slots=True)
class LoopPolicy:
    """The loop's bounds. `rebalance_patience_s` must be shorter than the consumer's rebalance time-out, and `turn_s` longer
    than any transaction may take. A stop takes `drain_s` + `leave_s` at most."""

    batch_records: int = 5_000
    batch_bytes: int = 6 * 1024 * 1024
    fetch_wait_s: float = 0.2
    measure_every_s: float = 1.0
    conflict_attempts: int = 5
    conflict_wait_s: float = 0.02
    backoff: Backoff = field(default_factory=Backoff)
    rebalance_patience_s: float = 10.0
    retake_s: float = 10.0
    lagging_s: float = 60.0
    turn_s: float = 180.0
    drain_s: float = 8.0
    leave_s: float = 5.0
