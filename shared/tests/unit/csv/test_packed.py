"""What a packed file gives to its reader, and what it may not cost."""

import bz2
import gzip
import io
import lzma
import random
import tarfile
import tracemalloc
import zipfile
from pathlib import Path
from typing import BinaryIO

import pytest

from tillstream.csv import packed
from tillstream.csv.packed import Bounds, open_text, plain_name
from tillstream.errors import FileRefused

pytestmark = pytest.mark.unit

TEXT = b"user_id,name\n" + b"".join(b"%d,Name %d\n" % (number, number) for number in range(200_000))
MEBIBYTE = 1024 * 1024


def stored(folder: Path, content: bytes) -> io.BufferedReader:
    path = folder / "file"
    path.write_bytes(content)
    return path.open("rb")


def read_through(text: BinaryIO) -> None:
    while text.read(65_536):
        pass


def zipped(text: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("orders.csv", text)
    return out.getvalue()


def tarred(text: bytes, form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        entry = tarfile.TarInfo("orders.csv")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    return out.getvalue()


def test_a_plain_file_is_read_as_it_is(tmp_path: Path) -> None:
    with stored(tmp_path, TEXT) as file:
        assert open_text(file) is file
        assert file.tell() == 0


@pytest.mark.parametrize(
    "content", [b"", b"\x1f", b"P", b"BZh", b"BZh9 is a name\n", b"PK,name\n", b"x" * 600]
)
def test_what_only_looks_a_little_like_a_packed_file_is_read_as_it_is(tmp_path: Path, content: bytes) -> None:
    with stored(tmp_path, content) as file:
        assert open_text(file).read() == content


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(TEXT),
        gzip.compress(TEXT[:70_000]) + gzip.compress(TEXT[70_000:]),
        gzip.compress(TEXT) + b"\x00" * 512,
        gzip.compress(TEXT, compresslevel=0),
        gzip.compress(b"") * 1_000 + gzip.compress(TEXT),
    ],
    ids=["one", "two members", "padded", "stored", "empty members"],
)
def test_a_gzip_file_is_read_as_what_it_holds(tmp_path: Path, content: bytes) -> None:
    with stored(tmp_path, content) as file:
        assert open_text(file).read() == TEXT


def test_every_place_in_it_can_be_gone_to(tmp_path: Path) -> None:
    with stored(tmp_path, gzip.compress(TEXT)) as file:
        text = open_text(file)
        draw = random.Random(7)  # noqa: S311 - places, not secrets
        for _ in range(50):
            at = draw.randrange(len(TEXT))
            assert text.seek(at) == text.tell() == at
            assert text.read(100) == TEXT[at : at + 100]


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(TEXT)[:-1],
        gzip.compress(TEXT)[:20],
        gzip.compress(TEXT)[:-8] + b"\x00" * 8,
        gzip.compress(TEXT)[:5_000] + b"\xff" * 100 + gzip.compress(TEXT)[5_100:],
        gzip.compress(TEXT) + b"rest",
        b"\x1f\x8b",
        b"\x1f\x8bno gzip at all",
    ],
    ids=["cut", "cut early", "checksum", "damaged", "rest", "magic", "other"],
)
def test_a_broken_one_is_refused_with_a_sentence(tmp_path: Path, content: bytes) -> None:
    with stored(tmp_path, content) as file, pytest.raises(FileRefused, match=r"^broken_gzip: \w+"):
        open_text(file).read()


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(b"") * 200_000 + gzip.compress(TEXT),
        gzip.compress(TEXT) + bytes(4 * MEBIBYTE),
        b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 4 * MEBIBYTE,
    ],
    ids=["empty members", "zeros", "a name without an end"],
)
def test_one_that_holds_nothing_for_long_is_not_read_on(tmp_path: Path, content: bytes) -> None:
    with stored(tmp_path, content) as file, pytest.raises(FileRefused, match=r"^broken_gzip: .* nothing$"):
        open_text(file).read()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (zipped(TEXT), "zip archive"),
        (zipped(b""), "zip archive"),
        (tarred(TEXT), "tar archive"),
        (tarred(TEXT, tarfile.GNU_FORMAT), "tar archive"),
        (gzip.compress(tarred(TEXT)), "tar archive"),
        (gzip.compress(zipped(TEXT)), "zip archive"),
        (gzip.compress(gzip.compress(TEXT)), "gzip within gzip"),
        (lzma.compress(TEXT), "xz file"),
        (bz2.compress(TEXT), "bzip2 file"),
        (bz2.compress(b""), "bzip2 file"),
        (b"\x28\xb5\x2f\xfd\x24\x00\x01\x00\x00\x99\xe9\xd8\x51", "zstd file"),
        (b"7z\xbc\xaf\x27\x1c\x00\x04", "7z archive"),
        (b"Rar!\x1a\x07\x01\x00", "rar archive"),
        (b"\x04\x22\x4d\x18\x64\x40\xa7", "lz4 file"),
    ],
)
def test_an_archive_is_refused_by_what_it_is(tmp_path: Path, content: bytes, said: str) -> None:
    with stored(tmp_path, content) as file, pytest.raises(FileRefused, match=f"^archive_refused: .*{said}"):
        open_text(file)


def test_no_more_comes_out_than_is_allowed(tmp_path: Path) -> None:
    content = gzip.compress(TEXT)
    with stored(tmp_path, content) as file:
        assert open_text(file, Bounds(max_text_bytes=len(TEXT))).read() == TEXT
        with pytest.raises(FileRefused, match=f"^unpacked_too_large: .*{len(TEXT) - 1}"):
            open_text(file, Bounds(max_text_bytes=len(TEXT) - 1)).read()


def test_a_bomb_is_refused_by_its_ratio_and_takes_little_memory(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "file", "wb") as bomb:
        for _ in range(64):
            bomb.write(bytes(MEBIBYTE))
    size = (tmp_path / "file").stat().st_size
    ratio = 200
    assert size * ratio < 64 * MEBIBYTE
    with (tmp_path / "file").open("rb") as file:
        text = open_text(file, Bounds(max_ratio=ratio))
        tracemalloc.start()
        try:
            with pytest.raises(FileRefused, match=r"^unpacked_too_large"):
                read_through(text)
            assert tracemalloc.get_traced_memory()[1] < 4 * MEBIBYTE
        finally:
            tracemalloc.stop()
        assert text.tell() <= max(packed.RATIO_FLOOR_BYTES, size * ratio) + 2 * MEBIBYTE


def test_going_on_beyond_the_bound_is_refused_as_well(tmp_path: Path) -> None:
    with stored(tmp_path, gzip.compress(TEXT)) as file:
        text = open_text(file, Bounds(max_text_bytes=2 * MEBIBYTE))
        with pytest.raises(FileRefused, match=r"^unpacked_too_large"):
            text.seek(len(TEXT) - 1)


@pytest.mark.parametrize(
    ("name", "plain"), [("a.csv.gz", "a.csv"), ("A.CSV.GZ", "A.CSV"), ("a.csv", "a.csv"), ("gz", "gz")]
)
def test_a_name_without_the_suffix_of_packing(name: str, plain: str) -> None:
    assert plain_name(name) == plain
