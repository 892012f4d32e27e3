"""What a broker takes can be unpacked, and what cannot is told as that."""

import time
import tracemalloc
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import cramjam
import pytest
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.errors import CorruptRecordException
from hypothesis import given
from hypothesis import strategies as st

from tillstream.kafka import codecs
from tillstream.kafka.codecs import MOST_BYTES, unpack
from tillstream.testing.strategies import QUICK

pytestmark = pytest.mark.unit

ENCODE: Mapping[int, Callable[[bytes], bytes]] = {
    0: bytes,
    1: gzip_encode,
    2: snappy_encode,
    3: lz4_encode,
    4: zstd_encode,
}
GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
RUBBISH = b"\xffrubbish"
CONTENT = b"".join(b"%d," % number for number in range(40_000))


@given(st.sampled_from(range(5)), st.binary(max_size=300), st.integers(1, 2_000))
@QUICK
def test_what_was_packed_comes_out(codec: int, data: bytes, times: int) -> None:
    assert unpack(codec, ENCODE[codec](data * times)) == data * times


@pytest.mark.parametrize("codec", [GZIP, LZ4])
@pytest.mark.parametrize("rubbish", [RUBBISH, bytes(40), b"\xff" * 40])
def test_what_stands_behind_the_end_does_not_count(codec: int, rubbish: bytes) -> None:
    assert unpack(codec, ENCODE[codec](CONTENT) + rubbish) == CONTENT


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, ZSTD])
def test_streams_behind_each_other_are_one(codec: int) -> None:
    assert unpack(codec, ENCODE[codec](CONTENT) + ENCODE[codec](b"more")) == CONTENT + b"more"


def test_a_sum_over_the_content_does_not_count_for_lz4() -> None:
    """Java does not look at it."""
    compressor = cramjam.lz4.Compressor(block_linked=False, content_checksum=True)
    compressor.compress(CONTENT)
    packed = bytes(compressor.finish())
    assert unpack(LZ4, packed) == CONTENT
    assert unpack(LZ4, packed[:-4] + b"none") == CONTENT


def test_an_lz4_frame_may_say_how_much_it_holds() -> None:
    packed = lz4_encode(CONTENT)
    magic, flags, sizes, rest = packed[:4], packed[4], packed[5:6], packed[6:]
    stating = magic + bytes([flags | 0x08]) + sizes + len(CONTENT).to_bytes(8, "little") + rest
    assert unpack(LZ4, stating) == CONTENT


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4, ZSTD])
@pytest.mark.parametrize("kept", [1, 6, 12, 300])
def test_what_is_cut_off_is_corrupt(codec: int, kept: int) -> None:
    with pytest.raises(CorruptRecordException):
        unpack(codec, ENCODE[codec](CONTENT)[:kept])


@given(st.sampled_from(range(1, 5)), st.integers(0, 400), st.binary(max_size=8))
@QUICK
def test_what_is_spoilt_is_corrupt_or_holds_nothing(codec: int, kept: int, put: bytes) -> None:
    """A head and an end are nothing, packed."""
    try:
        found = unpack(codec, ENCODE[codec](CONTENT)[:kept] + put)
    except CorruptRecordException:
        return
    assert found == b""


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4, ZSTD])
def test_no_more_is_unpacked_than_memory_allows(codec: int) -> None:
    packed = ENCODE[codec](bytes(MOST_BYTES + 1))
    with pytest.raises(CorruptRecordException, match=f"more than {MOST_BYTES} bytes"):
        unpack(codec, packed)
    assert unpack(codec, ENCODE[codec](bytes(MOST_BYTES))) == bytes(MOST_BYTES)


def test_it_ends_before_the_memory_is_taken() -> None:
    packed = gzip_encode(bytes(8 * MOST_BYTES))
    tracemalloc.start()
    try:
        with pytest.raises(CorruptRecordException):
            unpack(GZIP, packed)
        assert tracemalloc.get_traced_memory()[1] < 3 * MOST_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, ZSTD])
def test_streams_behind_each_other_share_what_memory_allows(codec: int) -> None:
    half = ENCODE[codec](bytes(MOST_BYTES // 2 + 1))
    with pytest.raises(CorruptRecordException, match=f"more than {MOST_BYTES} bytes"):
        unpack(codec, half + half)


def test_what_a_large_batch_took_is_given_back() -> None:
    assert len(unpack(ZSTD, zstd_encode(b"x" * MOST_BYTES))) == MOST_BYTES
    [*_, kept] = codecs._spare
    assert kept[:] == bytes(MOST_BYTES), "memory that was given back is zeros"


def test_ten_times_as_many_streams_take_about_ten_times_as_long() -> None:
    """A megabyte holds 50,000 empty ones, and what stands behind each is copied."""

    def seconds(streams: int) -> float:
        packed = gzip_encode(b"") * streams
        began = time.process_time()
        assert unpack(GZIP, packed) == b""
        return time.process_time() - began

    few = min(seconds(5_000) for _ in range(3))
    assert seconds(50_000) < 30 * few


def test_threads_do_not_share_what_they_unpack_into() -> None:
    """Those of a reader that was given up go on for a moment beside the next one's."""
    packed = {data: zstd_encode(data) for data in (bytes([each]) * 500_000 for each in range(8))}
    with ThreadPoolExecutor(max_workers=8) as threads:
        found = threads.map(partial(unpack, ZSTD), list(packed.values()) * 50)
    assert list(found) == list(packed) * 50


def test_a_codec_that_does_not_exist_is_named() -> None:
    with pytest.raises(CorruptRecordException, match="codec 7"):
        unpack(7, b"")
