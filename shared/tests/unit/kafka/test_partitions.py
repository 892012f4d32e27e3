"""Keys go where every other Kafka client would send them."""

import pytest
from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st

from tillstream.kafka.partitions import partition_of

pytestmark = pytest.mark.unit

SIGNED_32 = 2**32
# The vectors of Kafka's own test of its hash, as signed 32-bit numbers.
VECTORS = [
    (b"21", -973932308),
    (b"foobar", -790332482),
    (b"a-little-bit-long-string", -985981536),
    (b"a-little-bit-longer-string", -1486304829),
    (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
    (b"abc", 479470107),
]


@pytest.mark.parametrize(("key", "hashed"), VECTORS)
def test_the_hash_is_kafkas(key: bytes, hashed: int) -> None:
    assert murmur2(key) == hashed % SIGNED_32
    assert partition_of(key, 12) == (hashed & 0x7FFFFFFF) % 12


@given(st.binary(max_size=40), st.integers(1, 100))
def test_a_key_has_one_partition(key: bytes, partitions: int) -> None:
    assert 0 <= partition_of(key, partitions) < partitions
    assert partition_of(key, partitions) == partition_of(key, partitions)
