"""Sequences laid end to end, each kept as it is: so that what reads them can take a part as a whole."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain
from typing import overload, override


class Parts[T](Sequence[T]):
    """A sequence of what stands in `parts`, one after the other. Its items are looked up there when asked for."""

    def __init__(self, parts: Sequence[Sequence[T]]) -> None:
        self.parts = [part for part in parts if len(part)]
        self._ends = list(accumulate(map(len, self.parts)))
        self._length = self._ends[-1] if self._ends else 0

    def __repr__(self) -> str:
        return f"<Parts: {self._length} items in {len(self.parts)}>"

    @override
    def __len__(self) -> int:
        return self._length

    @override
    def __iter__(self) -> Iterator[T]:
        return chain.from_iterable(self.parts)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...

    @override
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return list(self)[index]
        at = range(self._length)[index]
        found = bisect_right(
            self._ends, at
        )  # a batch has hundreds of parts, and may be asked for each of its items
        return self.parts[found][at - self._ends[found]]  # counted from the end of its part


def joined[T](parts: Sequence[Sequence[T]]) -> Sequence[T]:
    """One sequence of all items: a list where all parts are lists, else the parts as they are, and those of a part that was
    laid end to end itself."""
    if all(isinstance(part, list) for part in parts):
        return list(chain.from_iterable(parts))
    return Parts(list(chain.from_iterable(map(parts_of, parts))))


def parts_of[T](items: Sequence[T]) -> Sequence[Sequence[T]]:
    """What `joined` laid end to end; any other sequence is its own only part."""
    if isinstance(items, Parts):
        return items.parts
    return [items] if len(items) else []
