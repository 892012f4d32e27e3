"""Sequences that are not lists: items made when asked for, and sequences laid end to end, each kept as it is, so that what
reads them can take a part as a whole."""

from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain
from typing import overload, override


class Lazy[T](Sequence[T]):
    """A sequence whose items are made when they are asked for. A slice that has all of it, in order, is the sequence itself."""

    @abstractmethod
    def item(self, place: int) -> T:
        """The one at a place counted from 0."""

    def items(self, places: range) -> Sequence[T]:
        """Those at some of these places; whoever can make many at once does."""
        return list(map(self.item, places))

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...

    @override
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        every = range(len(self))
        places = every[index]
        if isinstance(places, int):
            return self.item(places)
        return self if places == every else self.items(places)


class Parts[T](Lazy[T]):
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

    @override
    def item(self, place: int) -> T:
        # A batch has hundreds of parts, and may be asked for each of its items.
        found = bisect_right(self._ends, place)
        return self.parts[found][place - self._ends[found]]  # counted from the end of its part

    @override
    def items(self, places: range) -> Sequence[T]:
        """Of neighbours, whole parts stay as they are."""
        if places.step != 1:
            return super().items(places)
        begins = (end - len(part) for part, end in zip(self.parts, self._ends, strict=True))
        some = (
            part[max(places.start - begin, 0) : max(places.stop - begin, 0)]
            for part, begin in zip(self.parts, begins, strict=True)
        )
        return joined([part for part in some if len(part)])


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
