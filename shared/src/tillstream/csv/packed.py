"""Files that come packed: gzip is read as the text that it holds, within bounds; archives are refused by name.

The first bytes decide, not the file's name.
"""

import gzip
import io
import os
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, override

from tillstream.errors import FileRefused

GZIP_SUFFIX = ".gz"
GZIP_MAGIC = b"\x1f\x8b"
DEFAULT_MAX_TEXT_BYTES = 10 * 1024**3
# Exports of a shop come down to a tenth, very uniform ones to a hundredth; a bomb to a thousandth.
DEFAULT_MAX_RATIO = 200
# Below this a ratio says nothing, and does no harm.
RATIO_FLOOR_BYTES = 16 * 1024 * 1024
_HEAD_BYTES = 512
_READ_BYTES = 1_048_576
# What may be read in vain in one step: empty members, zeros behind the last one and a name without an end are passed over
# byte by byte, on whoever's thread, and gigabytes of them would take hours.
IDLE_BYTES = 1_048_576
_ARCHIVES: tuple[tuple[int, re.Pattern[bytes], str], ...] = tuple(
    (at, re.compile(magic, re.DOTALL), name)
    for at, magic, name in (
        (0, rb"PK(\x03\x04|\x05\x06|\x07\x08)", "a zip archive or an Office workbook"),
        (257, rb"ustar[\x00 ]", "a tar archive"),
        (0, rb"\xfd7zXZ\x00", "an xz file"),
        (0, rb"\x28\xb5\x2f\xfd", "a zstd file"),
        (0, rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", "a bzip2 file"),
        (0, rb"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (0, rb"Rar!\x1a\x07", "a rar archive"),
        (0, rb"\x04\x22\x4d\x18", "an lz4 file"),
    )
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What may come out of a gzip file: bytes altogether, and how many for each byte that lies on the disk."""

    max_text_bytes: int = DEFAULT_MAX_TEXT_BYTES
    max_ratio: int = DEFAULT_MAX_RATIO


DEFAULT_BOUNDS = Bounds()


def open_text(file: BinaryIO, bounds: Bounds = DEFAULT_BOUNDS) -> BinaryIO:
    """The file itself, or what a gzip file holds, seekable by bytes of the text. Closing stays with whoever opened `file`.

    Raises FileRefused for an archive, also one within gzip; and while what comes out is read, where the gzip file is broken or
    holds more than its bounds. Going back in it begins anew, and going far on takes as long as reading.
    """
    head = _head_of(file)
    if not head.startswith(GZIP_MAGIC):
        _refuse_archive(head)
        return file
    text = io.BufferedReader(_BoundedGzip(file, bounds), _READ_BYTES)
    inner = _head_of(text)
    if inner.startswith(GZIP_MAGIC):
        raise FileRefused("archive_refused: it is gzip within gzip; pack the CSV file once")
    _refuse_archive(inner)
    return text


def plain_name(file_name: str) -> str:
    """The name without the suffix that says that it is packed."""
    return file_name[: -len(GZIP_SUFFIX)] if file_name.lower().endswith(GZIP_SUFFIX) else file_name


def _head_of(file: BinaryIO) -> bytes:
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    return head


def _refuse_archive(head: bytes) -> None:
    for at, magic, name in _ARCHIVES:
        if magic.match(head, at):
            raise FileRefused(
                f"archive_refused: it is {name}; send the CSV file itself, as it is or packed by gzip"
            )


class _Metered:
    """A gzip file as it lies on the disk, of which one step may read `left` bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.left = 0

    def read(self, size: int = -1) -> bytes:
        """Raises FileRefused for what is read in vain."""
        data = self._file.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise FileRefused(f"broken_gzip: more than {IDLE_BYTES} bytes of it hold next to nothing")
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)


class _BoundedGzip(io.RawIOBase):
    """Reads what a gzip file holds; it never asks for more at once than there is room for."""

    def __init__(self, file: BinaryIO, bounds: Bounds) -> None:
        self._packed = _Metered(file)
        self._gzip = gzip.GzipFile(fileobj=self._packed, mode="rb")
        size = os.fstat(file.fileno()).st_size
        self._bounds = bounds
        self._most = min(bounds.max_text_bytes, max(RATIO_FLOOR_BYTES, size * bounds.max_ratio))

    @override
    def readable(self) -> bool:
        return True

    @override
    def seekable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        return self._checked(lambda: self._gzip.readinto(buffer), len(buffer))

    @override
    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """From the start or from here."""
        return self._checked(lambda: self._gzip.seek(offset, whence), max(0, offset))

    @override
    def tell(self) -> int:
        return self._gzip.tell()

    def _checked(self, step: Callable[[], int], text_bytes: int) -> int:
        """A step that is to pass over so many bytes of the text, which never take up twice as many packed."""
        self._packed.left = IDLE_BYTES + 2 * text_bytes
        try:
            answer = step()
        except EOFError:
            raise FileRefused("broken_gzip: the file ends before what it holds does") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise FileRefused(f"broken_gzip: what it holds cannot be read ({error})") from None
        if self._gzip.tell() > self._most:
            raise FileRefused(
                f"unpacked_too_large: more than {self._most} bytes come out of it, where"
                f" {self._bounds.max_text_bytes} bytes and {self._bounds.max_ratio} times its own size are allowed"
            )
        return answer
