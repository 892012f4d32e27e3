"""Which partition a key belongs to: murmur2, as Kafka's own clients compute it."""

from functools import lru_cache

from aiokafka.partitioner import murmur2

_SIGN_BIT_OFF = 0x7FFFFFFF
_KEYS_REMEMBERED = 65_536  # the same users come again and again, and murmur2 in Python costs 2 µs


@lru_cache(maxsize=_KEYS_REMEMBERED)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition of `key` among `partitions` (≥ 1); the same in every Kafka client with default settings."""
    return int(murmur2(key) & _SIGN_BIT_OFF) % partitions
