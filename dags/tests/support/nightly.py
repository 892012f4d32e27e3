"""The DAG, read from its file as Airflow reads it, and run in this process with `dag.test()`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.models.dagrun import DagRun
from airflow.sdk import DAG

from support.native import ROOT

DAG_ID = "ecommerce_etl_pipeline"
TASKS = ("load_csv_to_database", "build_sql_views", "run_data_quality_tests", "materialize_daily_revenue")
NOT_RUN = "upstream_failed"


def read_dags() -> DagBag:
    return DagBag(dag_folder=ROOT / "dags")


def nightly() -> DAG:
    """The DAG, whose tasks fail at once here: what would help on a second try is not waited for."""
    dag: DAG = read_dags().dags[DAG_ID]
    for task in dag.tasks:
        task.retries = 0
    return dag


def run_nightly(at: datetime, conf: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Run it once, as of a moment; the state of each task."""
    run: DagRun = nightly().test(logical_date=at, run_conf=dict(conf or {}))
    return {instance.task_id: str(instance.state) for instance in run.get_task_instances()}


def red_at(task: str) -> dict[str, str]:
    """The states where everything before a task succeeded, it failed, and nothing after it ran."""
    place = TASKS.index(task)
    return {
        each: "success" if before < place else "failed" if before == place else NOT_RUN
        for before, each in enumerate(TASKS)
    }


GREEN = dict.fromkeys(TASKS, "success")
