"""Airflow as its users have it: `make airflow`, the login, and the REST API behind the UI."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
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
        self.process = process
        self._log = log
        self.url = f"http://{LOCALHOST}:{8080 + offset}"

    def is_ready(self) -> bool:
        """Whether all of its parts are healthy; fails with the log's end where it died."""
        assert self.process.poll() is None, self._log.read_text()[-5_000:]
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


TIDY = ROOT / "infra" / "airflow" / "tidy.py"
TIDY_WITHIN_S = 120
KEPT_DAYS = 90
AGES = {"old": KEPT_DAYS + 1, "young": KEPT_DAYS - 1}
# A run and its tasks as if they had been some days ago.
AGE = (
    "UPDATE dag_run SET start_date = start_date - %(age)s, end_date = end_date - %(age)s WHERE run_id = %(run)s",
    "UPDATE task_instance SET start_date = start_date - %(age)s, end_date = end_date - %(age)s WHERE run_id = %(run)s",
    "UPDATE xcom SET timestamp = timestamp - %(age)s WHERE run_id = %(run)s",
    "UPDATE log SET dttm = dttm - %(age)s WHERE run_id = %(run)s",
)
LEFT_OF = """
    SELECT count(*) FROM
        (SELECT run_id FROM dag_run UNION ALL SELECT run_id FROM task_instance UNION ALL SELECT run_id FROM xcom
         UNION ALL SELECT run_id FROM log) AS every WHERE run_id = %s
"""
ARCHIVES = "SELECT tablename FROM pg_tables WHERE tablename LIKE '\\_airflow\\_deleted%%'"


def test_what_is_older_than_the_days_that_are_kept_is_deleted_with_its_logs(
    client: httpx.Client, standalone: Standalone
) -> None:
    environment = psutil.Process(standalone.process.pid).environ()
    metadata = environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")
    logs = Path(environment["AIRFLOW_HOME"]) / "logs"
    runs_of = {age: client.post(f"/dags/{DAG_ID}/dagRuns", json={"logical_date": None}) for age in AGES}
    ids = {age: started.raise_for_status().json()["dag_run_id"] for age, started in runs_of.items()}
    wait_until_all_are_green(client)
    files = {age: sorted(logs.glob(f"dag_id={DAG_ID}/run_id={ids[age]}/**/*.log")) for age in AGES}
    assert {age: len(found) for age, found in files.items()} == dict.fromkeys(AGES, len(GREEN))
    with psycopg.connect(metadata, autocommit=True) as database:
        for age, days in AGES.items():
            let_age(
                database, logs / f"dag_id={DAG_ID}" / f"run_id={ids[age]}", ids[age], timedelta(days=days)
            )
        before = database.execute(LEFT_OF, [ids["young"]]).fetchone()

        tidy = subprocess.run(
            [sys.executable, "-I", TIDY, logs, "--once"],
            env={**environment, "AIRFLOW_KEEP_DAYS": str(KEPT_DAYS)},
            capture_output=True,
            text=True,
            timeout=TIDY_WITHIN_S,
            check=False,
        )

        assert tidy.returncode == 0, tidy.stderr
        assert f"{len(GREEN)} files" in tidy.stdout
        assert database.execute(LEFT_OF, [ids["old"]]).fetchone() == (0,)
        assert database.execute(LEFT_OF, [ids["young"]]).fetchone() == before
        assert database.execute(ARCHIVES).fetchall() == []
    assert ids["old"] not in runs(client)
    assert tasks(client, ids["young"]) == dict.fromkeys(GREEN, ("success", 1))
    assert not files["old"][0].parents[1].exists()
    assert all(path.read_bytes() for path in files["young"])
    again = client.post(f"/dags/{DAG_ID}/dagRuns", json={"logical_date": None}).raise_for_status().json()
    wait_until_all_are_green(client)
    assert tasks(client, again["dag_run_id"]) == dict.fromkeys(GREEN, ("success", 1))


def let_age(database: psycopg.Connection[Any], logs: Path, run_id: str, age: timedelta) -> None:
    """The run was so long ago, and so was the last change of its logs."""
    for statement in AGE:
        database.execute(statement, {"age": age, "run": run_id})
    then_s = (datetime.now(UTC) - age).timestamp()
    for path in (logs, *logs.rglob("*")):
        os.utime(path, (then_s, then_s))
