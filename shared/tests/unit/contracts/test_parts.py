"""Sequences laid end to end behave as the list of all their items."""

from typing import override

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillstream.contracts.parts import Parts, joined, parts_of
from tillstream.testing.strategies import QUICK

pytestmark = pytest.mark.unit

PARTS = st.lists(st.lists(st.integers(), max_size=4).map(tuple), max_size=5)


@given(PARTS, st.slices(12))
@QUICK
def test_they_are_what_a_list_of_all_items_is(parts: list[tuple[int, ...]], some: slice) -> None:
    every = [item for part in parts for item in part]
    laid = Parts(parts)
    assert (list(laid), len(laid), list(laid[some])) == (every, len(every), every[some])
    assert [laid[at] for at in range(-len(every), len(every))] == [*every, *every]
    for beyond in (len(every), -len(every) - 1):
        with pytest.raises(IndexError):
            laid[beyond]


class Counted(list[int]):
    """Counts how often it is asked for anything."""

    asked = 0

    @override
    def __len__(self) -> int:
        Counted.asked += 1
        return super().__len__()


def test_an_item_is_found_without_a_look_at_every_part() -> None:
    laid = Parts([Counted([at]) for at in range(500)])
    Counted.asked = 0
    assert [laid[at] for at in range(500)] == list(range(500))
    assert Counted.asked <= 500


def test_each_part_can_be_taken_as_it_is() -> None:
    assert parts_of(joined([(1, 2), (), [3]])) == [(1, 2), [3]]
    assert parts_of(joined([joined([(1, 2), [3]]), (4,)])) == [(1, 2), [3], (4,)]
    assert parts_of([1, 2]) == [[1, 2]]
    assert parts_of([]) == []


def test_a_slice_keeps_whole_parts_as_they_are() -> None:
    laid = Parts([(1, 2), (3, 4), [5]])
    assert parts_of(laid[:4]) == [(1, 2), (3, 4)]
    assert parts_of(laid[1:]) == [(2,), (3, 4), [5]]
    assert laid[4:] == [5]
    assert parts_of(laid[2:2]) == []


def test_lists_become_one_list() -> None:
    assert joined([[1], [2, 3]]) == [1, 2, 3]
    assert joined([]) == []
