"""Lines of a file that are plainly good, found many at a time; all others are rows one by one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress

from tillstream.csv.records import MAX_RECORD_BYTES, Record, RecordSplitter

MOST_LINES = 16_384
LINE_BYTES = 64  # what one is thought to have; with a wrong guess there are more looks, or fewer
SHORTEST_LOOK_BYTES = 1_024
# Records that are read one by one, where looking ahead was in vain, before it is tried again.
FIRST_REST = 16
LONGEST_REST = 4_096

type Found = Sequence[re.Match[str] | None]


@dataclass(slots=True)
class PlainCells:
    """Lines that have the plain form: their numbers, their text without LF (bytes as Latin-1), and their cells."""

    lines: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    cells: list[Sequence[str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.lines)


class PlainLines:
    """Takes plain lines off a splitter. `pattern` is that of `contracts.plain_rows.plain_line`.

    Where a quote or a lone CR may join or part lines, it stops before them, and looks less far ahead from then on, so that no
    line is looked at many times.
    """

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._match = pattern.fullmatch
        self._reach = MOST_LINES
        self._rest = 0
        self._next_rest = FIRST_REST

    def take(
        self, records: RecordSplitter, most: int, most_others: int, into: PlainCells
    ) -> list[Record] | None:
        """Passes over lines, at most `most`: the plain ones go to `into`, the others, `most_others` (≥ 1) of them at most, come
        back, each a record of one line.

        None where nothing could be taken: then the next record is to be read by itself.
        """
        if self._rest:
            self._rest -= 1
            return None
        block = records.lines_ahead(max(min(self._reach, most) * LINE_BYTES, SHORTEST_LOOK_BYTES))
        texts = block.decode("latin-1").split("\n", most)[:-1]  # no more pieces: a million may be empty
        found = list(map(self._match, texts))
        self._reach = min(2 * self._reach, MOST_LINES)
        if None in found:
            texts, found = self._cut(texts, found, most_others)
        if not texts:
            self._rest = self._next_rest = min(2 * self._next_rest, LONGEST_REST)
            return None
        self._next_rest = FIRST_REST
        first_line = records.next_line
        records.pass_over(sum(map(len, texts)) + len(texts), len(texts))
        return _sorted_out(texts, found, first_line, into)

    def _cut(
        self, texts: list[str], found: list[re.Match[str] | None], most_others: int
    ) -> tuple[list[str], list[re.Match[str] | None]]:
        """Before the first line that may not be a record, or that is one other too many."""
        others = [place for place, match in enumerate(found) if match is None]
        if len(others) > most_others:
            room = others[most_others]
            texts, found, others = texts[:room], found[:room], others[:most_others]
        end = next((place for place in others if not _is_one_record(texts[place])), None)
        if end is None:
            return texts, found
        self._reach = max(FIRST_REST, min(2 * end, MOST_LINES))
        return texts[:end], found[:end]


def _is_one_record(text: str) -> bool:
    return '"' not in text and "\r" not in text[:-1] and len(text) <= MAX_RECORD_BYTES


def _sorted_out(texts: Sequence[str], found: Found, first_line: int, into: PlainCells) -> list[Record]:
    numbers = range(first_line, first_line + len(texts))
    plain = [match is not None for match in found]
    into.lines += compress(numbers, plain)
    into.texts += compress(texts, plain)
    into.cells += [match.groups("") for match in found if match is not None]
    if all(plain):
        return []
    others = zip(numbers, texts, found, strict=True)
    return [record_of(line, text) for line, text, match in others if match is None]


def record_of(line: int, text: str) -> Record:
    """The record that a line is."""
    return Record(line, text.removesuffix("\r").encode("latin-1"))
