"""Unpacks batches as leniently as a broker does, which takes them by Java's rules, and no further than memory allows.

aiokafka's functions raise on rubbish behind the end of what is packed, on a second stream behind the first, and on a sum over
the content that is wrong. A broker takes all that without a word, and one such batch would hold up its partition for ever. A
megabyte may also unpack to tens of gigabytes, which a broker looks through piece by piece.
"""

import zlib
from collections.abc import Callable, Mapping
from mmap import MADV_DONTNEED, MAP_PRIVATE, mmap
from struct import Struct, error

import cramjam
from aiokafka.codec import lz4_decode
from aiokafka.errors import CorruptRecordException

# Of one batch. Ours have half a megabyte, and what a client packs into the megabyte that a broker takes has ten, if it is text.
MOST_BYTES = 32 * 1024 * 1024

_GZIP = zlib.MAX_WBITS | 16  # a header and a sum around it
_GZIP_STEP_BYTES = 4 * 1024
# https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md
_LZ4_FLAGS_AT, _LZ4_SIZES_AT, _LZ4_HEAD_BYTES = 4, 5, 7
_LZ4_DICTIONARY, _LZ4_CONTENT_SIZE, _LZ4_BLOCK_SUMS, _LZ4_INDEPENDENT = 0x01, 0x08, 0x10, 0x20
_LZ4_AS_IS, _LZ4_SUM_BYTES = 0x8000_0000, 4
_LZ4_SIZE = Struct("<I")
# Four sizes, each four times the one before: the first of them has number 4.
_LZ4_FIRST_SIZE, _LZ4_FIRST_BYTES = 4, 64 * 1024
# Streams of Snappy as Java writes them: https://github.com/xerial/snappy-java
_SNAPPY_MAGIC, _SNAPPY_HEAD_BYTES = b"\x82SNAPPY\x00", 16
_SNAPPY_SIZE = Struct(">i")
_IS_FULL = "failed to write whole buffer"  # what cramjam says when there is no room left
_KEPT_BYTES = 2 * 1024 * 1024
_TOO_MUCH = f"it has more than {MOST_BYTES} bytes"
_SOMETHING_ELSE = (cramjam.DecompressionError, zlib.error, error, ValueError, IndexError, EOFError)


def unpack(codec: int, data: bytes) -> bytes:
    """What is packed by the codec of this number, at most MOST_BYTES.

    Raises CorruptRecordException, also where there is more, and for a codec that does not exist.
    """
    decode = _DECODE.get(codec)
    if decode is None:
        raise CorruptRecordException(f"A record batch is packed by codec {codec}, which does not exist")
    try:
        return decode(data)
    except _SOMETHING_ELSE as problem:
        raise CorruptRecordException(f"A record batch cannot be unpacked: {problem}") from problem


class _Room:
    """What is left of MOST_BYTES."""

    def __init__(self) -> None:
        self.left = MOST_BYTES

    def take(self, size: int) -> None:
        """Raises ValueError where there is not as much."""
        self.left -= size
        if self.left < 0:
            raise ValueError(_TOO_MUCH)


def _gzip(data: bytes) -> bytes:
    found: list[bytes] = []
    room = _Room()
    at = 0
    while at < len(data) or not found:
        try:
            content, at = _gzip_member(data, at, room)
        except zlib.error:
            if not found:
                raise
            break
        found.append(content)
    return b"".join(found)


def _gzip_member(data: bytes, at: int, room: _Room) -> tuple[bytes, int]:
    """What the member at this place holds, and where it ends. In steps: zlib copies what stands behind the end, and a megabyte
    may have 50,000 members."""
    member = zlib.decompressobj(_GZIP)
    found: list[bytes] = []
    while not member.eof:
        step = data[at : at + _GZIP_STEP_BYTES]
        if not step:
            raise EOFError("it is cut off")
        found.append(member.decompress(step, room.left + 1))
        room.take(len(found[-1]))
        at += len(step)
    return b"".join(found), at - len(member.unused_data)


def _lz4(data: bytes) -> bytes:
    flags = data[_LZ4_FLAGS_AT]
    if not flags & _LZ4_INDEPENDENT or flags & _LZ4_DICTIONARY:
        return bytes(lz4_decode(data))  # Java cannot read these, so no broker takes them
    most = _LZ4_FIRST_BYTES << 2 * ((data[_LZ4_SIZES_AT] >> 4 & 7) - _LZ4_FIRST_SIZE)
    block_room, room = bytearray(most), _Room()
    at = _LZ4_HEAD_BYTES + (8 if flags & _LZ4_CONTENT_SIZE else 0)
    found: list[bytes] = []
    while stated := _LZ4_SIZE.unpack_from(data, at)[0]:
        size = stated & ~_LZ4_AS_IS
        begin, at = at + _LZ4_SIZE.size, at + _LZ4_SIZE.size + size
        if at > len(data):
            raise EOFError("it is cut off")
        block = data[begin:at]
        if not stated & _LZ4_AS_IS:
            block = bytes(block_room[: cramjam.lz4.decompress_block_into(block, block_room, most)])
        room.take(len(block))
        found.append(block)
        at += _LZ4_SUM_BYTES if flags & _LZ4_BLOCK_SUMS else 0
    return b"".join(found)


def _snappy(data: bytes) -> bytes:
    room = _Room()
    if not data.startswith(_SNAPPY_MAGIC):
        return _snappy_block(data, room)
    found: list[bytes] = []
    at = 0
    while at < len(data):
        if data.startswith(_SNAPPY_MAGIC, at):
            at += _SNAPPY_HEAD_BYTES
            continue
        [size] = _SNAPPY_SIZE.unpack_from(data, at)
        begin, at = at + _SNAPPY_SIZE.size, at + _SNAPPY_SIZE.size + max(size, 0)
        found.append(_snappy_block(data[begin:at], room))
    if at > len(data):
        raise EOFError("it is cut off")
    return b"".join(found)


def _snappy_block(data: bytes, room: _Room) -> bytes:
    room.take(cramjam.snappy.decompress_raw_len(data))  # it says so itself, and is held to it
    return bytes(cramjam.snappy.decompress_raw(data))


def _zstd(data: bytes) -> bytes:
    """Into memory that is kept for the next batch: a new piece for each takes ten times as long, in page faults."""
    try:
        room = _spare.pop()
    except IndexError:  # asked before, another thread could have taken it meanwhile
        # Of shared memory, which is mmap's default, MADV_DONTNEED gives nothing back.
        room = mmap(-1, MOST_BYTES, flags=MAP_PRIVATE)
    size = MOST_BYTES
    try:
        size = cramjam.zstd.decompress_into(data, room)
        return room[:size]
    except cramjam.DecompressionError as problem:
        raise ValueError(_TOO_MUCH if _IS_FULL in str(problem) else str(problem)) from problem
    finally:
        if size > _KEPT_BYTES:
            room.madvise(MADV_DONTNEED)
        _spare.append(room)


_spare: list[mmap] = []  # as many as there are threads that unpack at once


_DECODE: Mapping[int, Callable[[bytes], bytes]] = {0: bytes, 1: _gzip, 2: _snappy, 3: _lz4, 4: _zstd}
