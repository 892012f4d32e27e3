"""How sure an answer is: current, behind, unknown."""

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tillstream.contracts.entities import TOPIC_OF
from tillstream.testing.shop_rows import ShopRows
from tillstream.testing.waiting import eventually

from .conftest import NOW, Api, Json

pytestmark = pytest.mark.integration

# A measurement ages by the database's clock, which no test can stop.
JUST_NOW = timedelta(0)
STALE = timedelta(seconds=11)


def _ago(age: timedelta) -> datetime:
    return datetime.now(UTC) - age


async def _topic(api: Api, name: str) -> Json:
    report = await api.get("/freshness")
    [topic] = [each for each in report["topics"] if each["topic"] == name]
    found: Json = topic
    return found


async def _unfinished(api: Api) -> set[int | None]:
    report, funnel = await api.get("/freshness"), await api.get("/metrics/funnel")
    return {report["unfinished_files"], funnel["freshness"]["unfinished_files"]}


async def test_before_anybody_measured_nothing_is_known(api: Api) -> None:
    answer = await api.get("/metrics/funnel")
    assert answer["freshness"] == {
        "status": "unknown",
        "complete_through": None,
        "lag_seconds": None,
        "lag_records": None,
        "waiting": 0,
        "unfinished_files": None,
    }


async def test_with_nothing_left_in_the_log_numbers_are_complete_through_the_measurement(
    api: Api, rows: ShopRows
) -> None:
    measured_at = _ago(JUST_NOW)
    rows.all_applied(measured_at)
    numbers = ("/metrics/funnel", "/metrics/daily-revenue", "/metrics/retention", "/products/top")
    for path in (*numbers, "/quarantine", "/parked"):
        freshness = (await api.get(path))["freshness"]
        assert datetime.fromisoformat(freshness.pop("complete_through")) == measured_at
        assert freshness == {
            "status": "current",
            "lag_seconds": 0,
            "lag_records": 0,
            "waiting": 0,
            "unfinished_files": 0,
        }, path


@pytest.mark.parametrize("path", ["/quarantine", "/parked"])
@pytest.mark.parametrize("topic", sorted({*TOPIC_OF.values()}))
async def test_what_was_refused_or_waits_is_as_fresh_as_the_topic_that_is_furthest_behind(
    api: Api, rows: ShopRows, path: str, topic: str
) -> None:
    rows.all_applied(_ago(JUST_NOW))
    rows.progress(topic, 0, next_offset=5, log_end=8, measured_at=_ago(JUST_NOW))
    freshness = (await api.get(path))["freshness"]
    assert (freshness["status"], freshness["lag_records"]) == ("behind", 3)


async def test_behind_the_log_numbers_are_complete_through_the_last_stored_record(
    api: Api, rows: ShopRows
) -> None:
    rows.all_applied(_ago(JUST_NOW))
    stored = [_ago(timedelta(seconds=age)) for age in (20, 50)]
    for partition, moment in enumerate(stored):
        rows.progress(
            "shop.events.v1",
            partition,
            next_offset=5,
            log_end=8,
            last_stored_at=moment,
            measured_at=_ago(JUST_NOW),
        )
    freshness = (await api.get("/metrics/funnel"))["freshness"]
    assert (freshness["status"], freshness["lag_records"], freshness["waiting"]) == ("behind", 6, 6)
    assert datetime.fromisoformat(freshness["complete_through"]) == min(stored)
    assert 50 <= freshness["lag_seconds"] < 60
    # Revenue does not depend on events.
    assert (await api.get("/metrics/daily-revenue"))["freshness"]["status"] == "current"


async def test_a_record_in_flight_after_days_of_silence_does_not_make_the_numbers_old(
    api: Api, rows: ShopRows
) -> None:
    rows.all_applied(_ago(JUST_NOW))
    empty_at = _ago(timedelta(seconds=1))
    rows.progress(
        "shop.events.v1",
        2,
        next_offset=5,
        log_end=6,
        last_stored_at=_ago(timedelta(days=3)),
        complete_through=empty_at,
        measured_at=_ago(JUST_NOW),
    )
    freshness = (await api.get("/metrics/funnel"))["freshness"]
    assert datetime.fromisoformat(freshness["complete_through"]) == empty_at
    assert 1 <= freshness["lag_seconds"] < 10
    topic = await _topic(api, "shop.events.v1")
    assert 1 <= topic["lag_seconds"] < 10


async def test_a_partition_out_of_which_nothing_was_stored_has_no_age(api: Api, rows: ShopRows) -> None:
    rows.all_applied(_ago(JUST_NOW))
    rows.progress("shop.events.v1", 3, next_offset=0, log_end=2, measured_at=_ago(JUST_NOW))
    freshness = (await api.get("/metrics/funnel"))["freshness"]
    assert (freshness["status"], freshness["lag_records"]) == ("behind", 2)
    assert (freshness["complete_through"], freshness["lag_seconds"]) == (None, None)


async def test_one_stale_partition_makes_the_topic_unknown_but_not_what_was_known_before(
    api: Api, rows: ShopRows
) -> None:
    rows.all_applied(_ago(JUST_NOW))
    then = _ago(STALE)
    rows.progress("shop.orders.v1", 11, next_offset=5, log_end=5, measured_at=then)
    freshness = (await api.get("/metrics/daily-revenue"))["freshness"]
    assert (freshness["status"], freshness["lag_records"], freshness["lag_seconds"]) == (
        "unknown",
        None,
        None,
    )
    assert datetime.fromisoformat(freshness["complete_through"]) == then
    topic = await _topic(api, "shop.orders.v1")
    assert (topic["status"], topic["partitions"], topic["unknown_partitions"]) == ("unknown", 12, 1)


async def test_a_partition_that_nobody_took_over_makes_the_topic_unknown(api: Api, rows: ShopRows) -> None:
    rows.all_applied(_ago(JUST_NOW))
    rows.run("DELETE FROM shop.partition_progress WHERE topic = 'shop.users.v1' AND kafka_partition = 0")
    freshness = (await api.get("/metrics/retention"))["freshness"]
    assert (freshness["status"], freshness["complete_through"]) == ("unknown", None)


async def test_what_waits_or_was_refused_is_counted_by_topic(api: Api, rows: ShopRows) -> None:
    rows.all_applied(_ago(JUST_NOW))
    for entity, count in (("event", 1), ("order", 2), ("order_item", 3)):
        for _ in range(count):
            rows.parked(entity=entity)
    for entity, count in (("user", 1), ("product", 2), ("order", 1), ("order_item", 1), ("event", 4)):
        for number in range(count):
            rows.refused(b"%d" % number, entity=entity)
    rows.refused(b"corrected", entity="event", resolved_at=NOW, resolution="stored")
    topics = (await api.get("/freshness"))["topics"]
    counts = {each["topic"]: (each["waiting"], each["parked"], each["quarantined"]) for each in topics}
    assert counts == {
        "shop.events.v1": (1, 1, 4),
        "shop.files.v1": (0, 0, 0),
        "shop.orders.v1": (5, 5, 2),
        "shop.products.v1": (0, 0, 2),
        "shop.users.v1": (0, 0, 1),
    }
    assert (await api.get("/metrics/daily-revenue"))["freshness"]["waiting"] == 5


async def test_files_that_are_not_finished_are_counted(api: Api, rows: ShopRows) -> None:
    rows.all_applied(_ago(JUST_NOW))
    for status in ("queued", "running", "running", "loaded", "failed", "archived"):
        rows.job(status)
    assert await _unfinished(api) == {3}
    for partition in (0, 2):
        rows.progress("shop.files.v1", partition, next_offset=5, log_end=7, measured_at=_ago(JUST_NOW))
    assert await _unfinished(api) == {7}


async def test_unfinished_files_are_not_known_while_nobody_reads_their_log(api: Api, rows: ShopRows) -> None:
    rows.all_applied(_ago(JUST_NOW))
    rows.job("queued")
    assert await _unfinished(api) == {1}
    rows.progress("shop.files.v1", 1, next_offset=5, log_end=5, measured_at=_ago(STALE))
    assert await _unfinished(api) == {None}
    rows.run("DELETE FROM shop.partition_progress WHERE topic = 'shop.files.v1'")
    assert await _unfinished(api) == {None}


async def test_a_stopped_partition_is_shown_with_its_reason(api: Api, rows: ShopRows) -> None:
    rows.all_applied(_ago(JUST_NOW))
    rows.progress(
        "shop.events.v1",
        7,
        next_offset=5,
        log_end=5_000,
        measured_at=_ago(JUST_NOW),
        last_stored_at=NOW,
        stopped_at=NOW,
        stop_reason="too many rejects",
    )
    topic = await _topic(api, "shop.events.v1")
    assert topic["status"] == "behind"
    assert topic["stopped"] == [
        {"partition": 7, "stopped_at": "2024-12-31T12:00:00Z", "reason": "too many rejects"}
    ]


async def test_the_moment_through_which_a_topic_is_complete_is_a_metric(api: Api, rows: ShopRows) -> None:
    measured_at = _ago(timedelta(minutes=3))  # the worker has been away since
    rows.all_applied(measured_at)
    rows.progress("shop.users.v1", 4, next_offset=0, log_end=7, measured_at=measured_at)
    name = "tillstream_data_complete_through_timestamp_seconds"

    async def told() -> bool:
        families = text_string_to_metric_families((await api.ops.get("/metrics")).text)
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        found = {sample.labels["topic"]: sample.value for sample in samples}
        known = {"shop.products.v1", "shop.orders.v1", "shop.events.v1", "shop.files.v1"}
        return found == dict.fromkeys(known, pytest.approx(measured_at.timestamp(), abs=0.01))

    await eventually(told)
