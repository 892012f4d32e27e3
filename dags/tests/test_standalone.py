"""Airflow as its users have it: `make airflow`, the login, and the REST API behind the UI."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from support.native import LOCALHOST, ROOT, NativeStack
from support.nightly import DAG_ID, GREEN
from support.waiting import wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(500)]

READY_WITHIN_S = 240.0
ANSWER_WITHIN_S = 30.0
SEEN_WITHIN_S = 60.0
DONE_WITHIN_S = 120.0
STOP_WITHIN_S = 10.0
LOGIN = {"username": "admin", "password": "admin123"}


class Standalone:
    """The running Airflow of one stack."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path, offset: int) -> None:
        self._process = process
        self._log = log
        self.url = f"http://{LOCALHOST}:{8080 + offset}"

    def is_ready(self) -> bool:
        """Whether all of its parts are healthy; fails with the log's end where it died."""
        assert self._process.poll() is None, self._log.read_text()[-5_000:]
        try:
            answer = httpx.get(f"{self.url}/api/v2/monitor/health", timeout=ANSWER_WITHIN_S)
        except httpx.TransportError:
            return False
        parts = ("metadatabase", "scheduler", "dag_processor", "triggerer")
        return answer.is_success and all(answer.json()[part]["status"] == "healthy" for part in parts)

    def client(self) -> httpx.Client:
        """Logged in as the development user."""
        answer = httpx.post(f"{self.url}/auth/token", json=LOGIN, timeout=ANSWER_WITHIN_S).raise_for_status()
        return httpx.Client(
            base_url=f"{self.url}/api/v2",
            headers={"Authorization": f"Bearer {answer.json()['access_token']}"},
            timeout=ANSWER_WITHIN_S,
        )


@pytest.fixture(scope="module")
def standalone(stack: NativeStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    log = tmp_path_factory.mktemp("standalone") / "log"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
        "STATE": str(stack.state),
        "PORT_OFFSET": str(stack.offset),
        "TILLSTREAM_INGEST_URL": stack.ingest_url,
        "TILLSTREAM_QUERY_URL": stack.query_url,
        "TILLSTREAM_DATA_DIR": str(stack.data_dir),
    }
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, ROOT / "infra" / "airflow" / "native.py", "standalone"],
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            running = Standalone(process, log, stack.offset)
            wait_for(running.is_ready, READY_WITHIN_S, "Airflow is healthy")
            yield running
        finally:
            end(process)


def end(process: "subprocess.Popen[bytes]") -> None:
    """As Ctrl-C does it; whatever is left after a while is killed."""
    if process.poll() is None:
        own = psutil.Process(process.pid)
        family = own.children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)
        _, left = psutil.wait_procs([own, *family], timeout=STOP_WITHIN_S)
        for each in left:
            each.kill()
        psutil.wait_procs(left)
    process.wait()


@pytest.fixture(scope="module")
def client(standalone: Standalone) -> Iterator[httpx.Client]:
    """Logged in, and the DAG is read and switched on."""
    with standalone.client() as session:
        wait_for(lambda: session.get(f"/dags/{DAG_ID}").is_success, SEEN_WITHIN_S, "the DAG is read")
        session.patch(f"/dags/{DAG_ID}", json={"is_paused": False}).raise_for_status()
        yield session


def runs(client: httpx.Client) -> dict[str, str]:
    """Every run with its state."""
    found = client.get(f"/dags/{DAG_ID}/dagRuns").raise_for_status().json()["dag_runs"]
    return {run["dag_run_id"]: run["state"] for run in found}


def wait_until_all_are_green(client: httpx.Client) -> None:
    def over() -> dict[str, str] | None:
        found = runs(client)
        return found if found and set(found.values()) <= {"success", "failed"} else None

    assert set(wait_for(over, DONE_WITHIN_S, "every run is over").values()) == {"success"}


def tasks(client: httpx.Client, run_id: str) -> dict[str, tuple[str, int]]:
    """The state of each task of a run, and how often it was tried."""
    found = client.get(f"/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances").raise_for_status().json()
    return {task["task_id"]: (task["state"], task["try_number"]) for task in found["task_instances"]}


def jobs(stack: NativeStack) -> int:
    return len(stack.get("/jobs", limit="500")["jobs"])


def test_a_wrong_password_and_no_token_are_refused(standalone: Standalone) -> None:
    wrong = httpx.post(
        f"{standalone.url}/auth/token", json={**LOGIN, "password": "admin"}, timeout=ANSWER_WITHIN_S
    )
    assert wrong.status_code == 401
    assert httpx.get(f"{standalone.url}/api/v2/dags", timeout=ANSWER_WITHIN_S).status_code == 401


def test_the_ui_and_its_login_page_are_served(standalone: Standalone) -> None:
    for path in ("/", "/auth/login"):
        page = httpx.get(f"{standalone.url}{path}", follow_redirects=True, timeout=ANSWER_WITHIN_S)
        assert page.status_code == 200
        assert "text/html" in page.headers["content-type"]


def test_a_run_is_triggered_cleared_and_backfilled_and_no_file_is_loaded_twice(
    client: httpx.Client, stack: NativeStack
) -> None:
    assert client.get("/importErrors").json()["total_entries"] == 0
    # Without a logical date, as the button of the UI may start it. Switching the DAG on began the run of last midnight.
    started = client.post(f"/dags/{DAG_ID}/dagRuns", json={"logical_date": None}).raise_for_status().json()
    wait_until_all_are_green(client)

    run_id = started["dag_run_id"]
    assert tasks(client, run_id) == dict.fromkeys(GREEN, ("success", 1))
    assert (stack.data_dir / "output" / "daily_revenue.csv").read_text().count("\n") > 1
    told = client.get("/assets/events").raise_for_status().json()["asset_events"]
    assert "tillstream://shop/data" in {event["uri"] for event in told}

    before = jobs(stack)
    cleared = {"dry_run": False, "dag_run_id": run_id, "only_failed": False}
    client.post(f"/dags/{DAG_ID}/clearTaskInstances", json=cleared).raise_for_status()
    wait_until_all_are_green(client)
    assert tasks(client, run_id) == dict.fromkeys(GREEN, ("success", 2))
    assert jobs(stack) == before

    nights = {"from_date": "2024-06-01T00:00:00Z", "to_date": "2024-06-02T00:00:00Z", "max_active_runs": 1}
    client.post("/backfills", json={"dag_id": DAG_ID, **nights}).raise_for_status()
    wait_for(
        lambda: sum("backfill" in run for run in runs(client)) == 2,
        SEEN_WITHIN_S,
        "the backfill's runs are there",
    )
    wait_until_all_are_green(client)
    assert (stack.data_dir / "output" / "daily_revenue-2024-06-02.csv").exists()
    sold = stack.get("/metrics/daily-revenue", **{"from": "2024-01-01", "to": "2024-12-31"})["daily_revenue"]
    assert (stack.data_dir / "output" / "daily_revenue.csv").read_text().count("\n") == len(sold) + 1
