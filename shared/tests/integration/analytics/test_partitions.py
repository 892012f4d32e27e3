"""Freshness per partition: which partitions there should be, and what is not known of them."""

import pytest

from tillstream.contracts.topics import TOPICS

from .conftest import Shop

pytestmark = pytest.mark.integration


def test_every_declared_partition_is_expected_and_unknown_until_it_is_measured(shop: Shop) -> None:
    found = shop.ask("SELECT topic, partition, is_unknown FROM api.partitions")
    assert sorted(found) == sorted(
        (topic.name, partition, True) for topic in TOPICS for partition in range(topic.partitions)
    )


def test_a_partition_that_was_added_later_counts_as_well(shop: Shop) -> None:
    shop.rows.progress("shop.events.v1", 12, next_offset=1, log_end=3, measured_at="now")
    found = shop.ask("SELECT is_unknown, lag_records FROM api.partitions WHERE partition = 12")
    assert found == [(False, 2)]


@pytest.mark.parametrize(("age", "is_unknown"), [("9 seconds", False), ("11 seconds", True)])
def test_what_was_measured_more_than_ten_seconds_ago_is_unknown(
    shop: Shop, age: str, is_unknown: bool
) -> None:
    [(moment,)] = shop.ask("SELECT now() - %s::interval", age)
    shop.rows.progress("shop.events.v1", 0, next_offset=3, log_end=3, measured_at=moment)
    found = shop.ask(
        "SELECT is_unknown, complete_through FROM api.partitions WHERE topic = 'shop.events.v1' AND partition = 0"
    )
    assert found == [(is_unknown, moment)]
