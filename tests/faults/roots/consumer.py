"""The consumer of both workers: one that stands still is missed sooner than in production, which halves the time of a run."""

from dataclasses import replace

from etl_worker.process import owner
from tillstream.contracts.plain_columns import PLAIN_FORMS
from tillstream.kafka.aio import AioConsumer, ConsumerPolicy
from tillstream.observe.definitions import Process

SESSION_S = 3.0
HEARTBEAT_S = 0.5
# In production small batches are read one by one. Here few are larger, and the way in columns is to be broken, too.
ALWAYS_IN_COLUMNS = {topic: replace(form, least_records=1) for topic, form in PLAIN_FORMS.items()}


def soon_missed(bootstrap: str, process: Process) -> AioConsumer:
    """In the group of that process, which ends its session after SESSION_S of silence."""
    return AioConsumer(
        bootstrap,
        group=process,
        client_id=owner(process),
        policy=ConsumerPolicy(session_s=SESSION_S, heartbeat_s=HEARTBEAT_S),
        forms=ALWAYS_IN_COLUMNS,
    )
