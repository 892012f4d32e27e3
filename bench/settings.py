"""How much is measured; all from the environment, so that a small run and a full one are the same command."""

import os


def _whole(names: str, default: int) -> int:
    return int(next((os.environ[name] for name in names.split() if os.environ.get(name)), default))


RUNS = _whole("RUNS ROUNDS", 5)
EVENTS = _whole("EVENTS", 1_000_000)
ROWS = _whole("ROWS", 10_000_000)
ORDERS = _whole("ORDERS", 1_000_000)
EVENT_ROWS = _whole("EVENT_ROWS", 2_000_000)
PANDAS_ROWS = _whole("PANDAS_ROWS", 100_000)
BULK_ROWS = _whole("BULK_ROWS", 3_000_000)
SECONDS = _whole("SECONDS", 5)  # of one run of wrk
STEADY_S = _whole("STEADY_S", 30)  # of one round at a steady rate
PER_SECOND = _whole("PER_SECOND", 1_000)
IDS = os.environ.get("IDS") or "uuid7"
PEER_FSYNC = "on" if os.environ.get("PEER_FSYNC") == "on" else "off"
