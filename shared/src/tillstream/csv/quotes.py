"""Where a record with quotes ends, in time linear in the file also where quotes are broken on every line.

A quote that is not closed is only known for one after a whole window was read, and the next line may have one, too. Two looks that
meet within quotes go on alike for ever, so what the last long look found is remembered, and the next one that meets it jumps.
"""

import re
from dataclasses import dataclass, field

_QUOTED = re.compile(rb'(?:[^"]++|"")*+')
_QUOTE = ord('"')
_LINE_ENDS = b"\r\n"


@dataclass(slots=True)
class _Look:
    """The last look that ended without a record: the quoted cells that it passed, and where it stood.

    `goes_on_at` is a place within quotes, from which a longer look goes on; None where text follows a closing quote.
    """

    cells: set[int] = field(default_factory=set)
    reached: int = 0
    goes_on_at: int | None = None


class QuoteScanner:
    """For one separator. All places are those of one buffer; `forget` when they mean other bytes."""

    def __init__(self, separator: str) -> None:
        self._mark = ord(separator)
        mark = re.escape(separator).encode()
        cell = rb'(?:[^"\r\n' + mark + rb"][^\r\n" + mark + rb"]*+)?+"
        self._unquoted = re.compile(cell + rb"(?:" + mark + cell + rb")*+")
        self._last = _Look()

    def knows(self, at: int) -> bool:
        """Whether a look from here may meet the last one."""
        return at < self._last.reached

    def forget(self) -> None:
        self._last = _Look()

    def record_end(self, buffer: bytes, at: int, limit: int, *, is_rest: bool) -> int | None:
        """The end, before its line end, of the record that begins at `at`, or None where it has none before `limit`.

        With `is_rest` the limit is the end of the file, at which a record may end without a line end.
        """
        cells: set[int] = set()
        within: int | None = None
        place = at
        while (opening := _end(self._unquoted, buffer, place, limit)) < limit:
            if buffer[opening] != _QUOTE:
                return self._found(opening)
            within = self._within(opening, cells)
            if within is None:
                return None
            cells = self._last.cells if opening in self._last.cells else cells
            closing = _end(_QUOTED, buffer, within, limit)
            after = closing + 1
            if after >= limit:
                within = closing
                break
            if buffer[after] in _LINE_ENDS:
                return self._found(after)
            if buffer[after] != self._mark:
                self._remember(cells, after, None)
                return None
            place = after + 1
        else:
            after = limit
        if is_rest and after == limit:
            return limit
        self._remember(cells, limit, within)
        return None

    def _within(self, opening: int, cells: set[int]) -> int | None:
        """Where a look that opens a quote here goes on: perhaps where the last one stood. None where that was in vain.

        The smaller set goes into the larger one, else each line would cost as much as all before it.
        """
        if opening not in self._last.cells:
            cells.add(opening)
            return opening + 1
        self._last.cells |= cells
        return self._last.goes_on_at

    def _found(self, end: int) -> int:
        """What was learnt lies before the next record, or was passed on the way and is no end any more."""
        self.forget()
        return end

    def _remember(self, cells: set[int], reached: int, goes_on_at: int | None) -> None:
        """Where a look ended in vain. A shorter look than the last one says nothing about the lines after it."""
        if cells and reached >= self._last.reached:
            self._last = _Look(cells, reached, goes_on_at)


def _end(pattern: re.Pattern[bytes], buffer: bytes, place: int, limit: int) -> int:
    found = pattern.match(buffer, place, limit)
    assert found is not None, "each pattern matches nothing, too"
    return found.end()
