"""The arithmetic of the benchmarks: what is said of figures must be true of them."""

import pytest

from memory import LONG_ENOUGH, memory_of
from page import Record, render
from results import Bar, Figure, Memory, Row, growth, memory_figures, number, percentile, ratios
from visible import schedule

pytestmark = pytest.mark.unit


def test_a_bar_is_held_against_the_median() -> None:
    figure = Figure("rate", "events/s", [10, 90, 50], Bar.AT_LEAST, 50)
    assert figure.median == 50
    assert figure.met is True
    assert Figure("rate", "events/s", [10, 90, 49], Bar.AT_LEAST, 50).met is False


def test_below_means_below() -> None:
    assert Figure("p99", "ms", [250.0], Bar.BELOW, 250).met is False
    assert Figure("p99", "ms", [249.9], Bar.BELOW, 250).met is True


def test_nothing_is_met_where_nothing_is_asked() -> None:
    figure = Figure("peer", "rows/s", [1.0])
    assert figure.met is None
    assert figure.asked() == ""


def test_a_figure_says_its_spread() -> None:
    assert (
        Figure("rate", "events/s", [61_234.5, 50_000, 70_000.2]).said()
        == "61,234 events/s (50,000 to 70,000)"
    )
    assert Figure("ratio", "×", [2.345]).said() == "2.35 ×"


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.304, "0.30"), (1.0, "1"), (12.34, "12.3"), (123.4, "123"), (75_000, "75,000"), (0, "0")],
)
def test_numbers_have_the_digits_that_matter(value: float, said: str) -> None:
    assert number(value) == said


def test_ratios_are_taken_round_by_round() -> None:
    assert ratios([10, 40], [5, 10]) == [2, 4]
    with pytest.raises(ValueError, match="shorter"):
        ratios([10, 40], [5])


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.0, 1)])
def test_percentile_is_the_least_value_that_covers_its_share(share: float, expected: float) -> None:
    assert percentile([float(value) for value in range(100, 0, -1)], share) == expected


def test_percentile_of_few_values_is_one_of_them() -> None:
    assert percentile([3.0], 0.99) == 3.0
    assert percentile([1.0, 2.0, 3.0], 0.99) == 3.0


def test_growth_leaves_out_the_warming_up() -> None:
    assert growth([1, 50, 100, 100, 110, 105]) == pytest.approx(1.1)


def test_memory_is_the_highest_of_all_processes_and_the_growth_of_the_worst() -> None:
    flat, growing = [100.0] * LONG_ENOUGH, [100.0] * (LONG_ENOUGH - 1) + [150.0]
    assert memory_of("worker", [flat, growing, [180.0]]) == Memory("worker", 180.0, 1.5)
    assert memory_of("worker", [[180.0]]) == Memory("worker", 180.0, None)


def test_memory_of_all_rows_is_the_worst_of_each() -> None:
    rows = [
        Row("one", "one", "", memory=[Memory("worker", 200, 1.0)]),
        Row("two", "two", "", memory=[Memory("worker", 310, None)]),
    ]
    highest, grown = memory_figures(rows)
    assert (highest.median, highest.met) == (310, False)
    assert (grown.median, grown.met) == (1.0, True)


def test_sends_have_their_moments_before_the_first_of_them() -> None:
    moments = schedule(1_000, 2)
    assert len(moments) == 2_000
    assert moments[0] == 0
    assert moments[-1] == pytest.approx(1.999)


def test_what_is_measured_again_takes_the_place_of_the_former() -> None:
    record = Record(rows=[Row("ingest", "", "", failed="no wrk"), Row("worker", "old", "")])
    record = record.with_rows("ingest", [Row("ingest-batches", "", ""), Row("ingest-singles", "", "")])
    record = record.with_rows("worker", [Row("worker", "new", "")]).with_rows("sink", [Row("sink", "", "")])
    assert [row.name for row in record.rows] == ["ingest-batches", "ingest-singles", "worker", "sink"]
    assert record.rows[2].work == "new"


def test_what_was_not_measured_is_on_the_page_too() -> None:
    record = Record(rows=[Row("ingest-batches", "", "")]).with_all(["ingest", "worker"])
    assert [(row.name, row.failed) for row in record.rows] == [
        ("ingest-batches", ""),
        ("worker", "not measured yet"),
    ]


def test_the_page_says_which_bar_was_met_and_what_failed() -> None:
    good = Row("one", "reading", "2 runs", [Figure("rate", "events/s", [9, 11], Bar.AT_LEAST, 10)])
    bad = Row("two", "writing", "2 runs", [Figure("p99", "ms", [9.0], Bar.BELOW, 5)])
    page = render(Record({"memory": "24 GiB"}, [good, bad, Row("three", "asking", "", failed="no broker")]))
    assert "| reading | rate | ≥ 10 events/s | 10 events/s (9 to 11) | met |" in page
    assert "| writing | p99 | < 5 ms | 9 ms | **not met** |" in page
    assert "| asking | | | no broker | **no figures** |" in page
    assert "- 24 GiB" in page
