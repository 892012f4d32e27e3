"""What the metrics say of a batch, whichever way its events were read."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from etl_worker.watch import ApplyWatch
from tillstream.apply.applied import Applied
from tillstream.apply.applied_columns import AppliedColumns
from tillstream.apply.batch import sorted_out
from tillstream.apply.verdicts import DUPLICATE, ID_CONFLICT, Verdict
from tillstream.clock import SystemClock
from tillstream.contracts.entities import EVENTS_TOPIC
from tillstream.contracts.outcomes import OutcomeKind
from tillstream.contracts.parts import joined
from tillstream.contracts.plain_columns import PlainColumns
from tillstream.kafka.records import Place
from tillstream.observe.definitions import Process
from tillstream.observe.metrics import Metrics
from tillstream.testing.builders import ACCEPTED_AT
from tillstream.testing.log_batches import block_in, columns_in, door_headers, plain_event

pytestmark = pytest.mark.unit

PARKED = Verdict(OutcomeKind.PARKED, None, "user", 3)


def columns(numbers: range, partition: int) -> PlainColumns:
    """Events of two requests, one second apart."""
    records = [
        plain_event(number)._replace(
            headers=door_headers(number, accepted_at=ACCEPTED_AT + timedelta(seconds=number % 2))
        )
        for number in numbers
    ]
    return columns_in(block_in(records, Place(EVENTS_TOPIC, partition)))


def told(applied: Sequence[Applied]) -> Mapping[str, float]:
    """The samples that tell of these, but for the times since they were accepted."""
    registry = CollectorRegistry()
    ApplyWatch(Metrics(registry, Process.ETL_WORKER), SystemClock()).applied(applied)
    counted = ("applied_records_total", "quarantined_records_total", "event_to_table_seconds_count")
    return {
        f"{sample.name} {sorted(sample.labels.items())}": sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name.endswith(counted)
    }


@pytest.mark.parametrize(
    "odd", [{}, {0: DUPLICATE, 3: PARKED}, {1: ID_CONFLICT}, dict.fromkeys(range(11), DUPLICATE)]
)
def test_events_in_columns_are_counted_as_each_of_them_would_be(odd: dict[int, Verdict]) -> None:
    messages = joined([columns(range(7), 0), columns(range(7, 11), 1)])
    applied = AppliedColumns(messages, sorted_out(messages), odd)
    assert told(applied) == told(list(applied))
    assert len(told(applied)) > 0
    assert sum(value for name, value in told(applied).items() if "applied_records" in name) == 11
