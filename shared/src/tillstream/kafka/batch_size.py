"""How many records a batch may have at most: fewer, while PostgreSQL ends batches for the time they take."""

import structlog

CALM_BATCHES = 8  # committed in a row, before they may be twice as large again: a time-out costs a minute

_log = structlog.get_logger()


class BatchSize:
    """Halves down to one record, and grows back to `most`."""

    def __init__(self, most: int) -> None:
        self.records = most
        self._most = most
        self._calm = 0

    def __repr__(self) -> str:
        return f"<BatchSize {self.records} of {self._most}>"

    def timed_out(self, records: int) -> None:
        """A batch of so many records (≥ 1) took too long."""
        self._calm = 0
        self.records = max(1, records // 2)
        _log.warning(
            "A batch took too long; the next ones are smaller.", records=records, at_most=self.records
        )

    def committed(self) -> None:
        """A batch, of whatever size, was in time."""
        if self.records == self._most:
            return
        self._calm += 1
        if self._calm >= CALM_BATCHES:
            self._calm = 0
            self.records = min(self._most, self.records * 2)
