"""Which body came under which Idempotency-Key, as far as this process remembers: a convenience, not the promise.

The promise is kept by the ids, which a key makes the same whoever answers, and by the worker, where the first of two
contents under one id counts. This only tells a client its mistake while it can still correct it.
"""

from collections import OrderedDict

from tillstream.contracts.records import payload_hash
from tillstream.http.problems import Problem
from tillstream.observe.metrics import Metrics


class UsedKeys:
    """Hashes of keys and bodies; the key that was used longest ago is forgotten first."""

    def __init__(self, max_keys: int, metrics: Metrics) -> None:
        self._max_keys = max_keys
        self._metrics = metrics
        self._bodies: OrderedDict[bytes, bytes] = OrderedDict()

    def __len__(self) -> int:
        return len(self._bodies)

    def use(self, route: str, source: str, key: str | None, body: bytes) -> "Use":
        """Raises Problem 422 when the same key of the same source came with another body. Without a key it does nothing."""
        if key is None:
            return Use(self, b"", is_new=False)
        # Neither of the first two may hold a line end.
        name = payload_hash(f"{route}\n{source}\n{key}".encode())
        digest = payload_hash(body)
        known = self._bodies.get(name)
        if known is not None and known != digest:
            self._metrics.ingest_key_conflicts.inc()
            raise Problem(
                422, "This Idempotency-Key was used with another body; take a new key for a new body."
            )
        self._bodies[name] = digest
        self._bodies.move_to_end(name)
        if len(self._bodies) > self._max_keys:
            self._bodies.popitem(last=False)
        return Use(self, name, is_new=known is None)

    def forget(self, name: bytes) -> None:
        self._bodies.pop(name, None)


class Use:
    """One request's use of a key. Dropped when nothing of the body was sent, so that it may be corrected."""

    def __init__(self, keys: UsedKeys, name: bytes, *, is_new: bool) -> None:
        self._keys = keys
        self._name = name
        self._is_new = is_new

    def drop(self) -> None:
        if self._is_new:
            self._keys.forget(self._name)
