"""`make up PROMETHEUS=1`: everything is scraped, the rules are read, and a process that is gone is told of."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from support.kafka import CACHE
from support.ports import free_ports
from support.stack import RunningStack, run_stack
from tillstream.observe.definitions import Process
from tillstream.testing.waiting import eventually
from tillstream_native.places import FILE_WATCHER, NAMES, PROMETHEUS, Places
from tillstream_native.prometheus import SOURCE
from tillstream_native.stack import Stack
from tillstream_native.system import LOCALHOST, CannotRun

pytestmark = [pytest.mark.e2e, pytest.mark.prometheus]

SCRAPED_WITHIN_S = 30
FIRES_WITHIN_S = 120  # a minute of patience, and a scrape and an evaluation on both sides
ENDS_WITHIN_S = 60

type Json = dict[str, Any]


@pytest.fixture(scope="module")
def bare(server_place: Path) -> Iterator[RunningStack]:
    """A stack that was brought up without Prometheus."""
    yield from run_stack(server_place / "watched-state", {})


@pytest.fixture(scope="module")
def watched(bare: RunningStack) -> RunningStack:
    """The same with one, which came to it while it ran."""
    native = bare.native
    assert [part.name for part in native.status()] == list(NAMES)
    Stack(native.places, native.ports, {}, print, with_prometheus=True).up()
    return bare


async def ask(watched: RunningStack, path: str, **parameters: str) -> Json:
    async with httpx2.AsyncClient(base_url=f"http://{LOCALHOST}:{watched.native.ports.prometheus}") as client:
        answer = (await client.get(f"/api/v1/{path}", params=parameters)).raise_for_status()
    data: Json = answer.json()["data"]
    return data


async def healths(watched: RunningStack) -> dict[str, str]:
    targets = (await ask(watched, "targets"))["activeTargets"]
    return {each["labels"]["job"]: each["health"] for each in targets}


async def firing(watched: RunningStack) -> dict[str, Json]:
    alerts = (await ask(watched, "alerts"))["alerts"]
    return {each["labels"]["alertname"]: each for each in alerts if each["state"] == "firing"}


async def test_every_process_is_scraped(watched: RunningStack) -> None:
    wanted = dict.fromkeys([*Process, PROMETHEUS], "up")

    async def all_are_up() -> bool:
        return await healths(watched) == wanted

    await eventually(all_are_up, SCRAPED_WITHIN_S)


async def test_every_rule_is_read_and_can_be_evaluated(watched: RunningStack) -> None:
    wanted = {
        rule.get("alert") or rule["record"]
        for path in (SOURCE / "rules").glob("*.yml")
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    }

    async def all_are_well() -> bool:
        rules = [rule for group in (await ask(watched, "rules"))["groups"] for rule in group["rules"]]
        return {rule["name"] for rule in rules if rule["health"] == "ok"} == wanted

    await eventually(all_are_well, SCRAPED_WITHIN_S)


async def test_what_is_recorded_has_values_on_a_stack_without_data(watched: RunningStack) -> None:
    async def value(name: str) -> list[float]:
        found = (await ask(watched, "query", query=name))["result"]
        return [float(each["value"][1]) for each in found]

    async def all_have_values() -> bool:
        lags = await value("tillstream:consumer_lag_records:sum")
        ages = await value("tillstream:data_age_seconds:max")
        share = await value("tillstream:data_free_share:min")
        # the groups of rules are evaluated one by one: what the first has recorded says nothing of the last
        if (len(lags), len(ages), len(share)) != (5, 5, 1):
            return False
        return lags == [0.0] * 5 and max(ages) < SCRAPED_WITHIN_S and 0 < share[0] < 1

    await eventually(all_have_values, SCRAPED_WITHIN_S)


@pytest.mark.timeout(300)
async def test_a_process_that_is_stopped_is_told_of_until_it_is_back(watched: RunningStack) -> None:
    assert await firing(watched) == {}
    watched.stop(FILE_WATCHER)

    async def is_missed() -> Json | None:
        return (await firing(watched)).get("TillstreamTargetMissing")

    alert = await eventually(is_missed, FIRES_WITHIN_S)
    assert alert is not None
    assert alert["labels"]["job"] == FILE_WATCHER
    assert alert["annotations"]["summary"] == "file-watcher does not answer"
    watched.start(FILE_WATCHER)

    async def is_silent() -> bool:
        return await firing(watched) == {}

    await eventually(is_silent, ENDS_WITHIN_S)


def test_it_is_a_part_of_the_stack_until_down(watched: RunningStack) -> None:
    part = watched.part(PROMETHEUS)
    assert (part.state, part.ports) == ("running", (watched.native.ports.prometheus,))
    watched.native.up()  # without asking for it again
    assert watched.part(PROMETHEUS) == part
    watched.native.down()
    assert [each.name for each in watched.native.status()] == list(NAMES)
    with socket.socket() as probe:
        assert probe.connect_ex((LOCALHOST, watched.native.ports.prometheus)) != 0
    assert (watched.native.places.prometheus / "data").is_dir()


def test_taken_port_of_prometheus_stops_the_start_before_anything_runs(server_place: Path) -> None:
    ports = free_ports()
    refused = Stack(Places(server_place / "unwatched", CACHE), ports, {}, print, with_prometheus=True)
    with (
        socket.create_server((LOCALHOST, ports.prometheus)),
        pytest.raises(CannotRun, match=f"Port {ports.prometheus}, which prometheus needs, is taken"),
    ):
        refused.up()
    assert not refused.supervisor.running
