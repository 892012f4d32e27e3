"""What Airflow reads in the folder, and how the DAG is declared."""

from datetime import timedelta

import pytest
from airflow.sdk import Asset
from support.native import ROOT
from support.nightly import DAG_ID, TASKS, read_dags

from tillstream_dags.quality import CHECKS, Severity
from tillstream_dags.quality_operator import KeptChecksOperator
from tillstream_dags.sql_files import SQL, sql_files

pytestmark = pytest.mark.unit

PARSE_WITHIN_S = 30.0


def test_the_folder_is_read_without_an_error_or_a_warning() -> None:
    bag = read_dags()

    assert bag.import_errors == {}
    assert bag.captured_warnings == {}
    assert list(bag.dags) == [DAG_ID]


def test_only_files_that_declare_dags_are_read() -> None:
    read = read_dags().dagbag_stats

    assert [each.file for each in read] == [path.name for path in (ROOT / "dags").glob("*.py")]
    assert sum(each.duration.total_seconds() for each in read) < PARSE_WITHIN_S


def test_the_tasks_follow_each_other_and_stop_at_the_first_failure() -> None:
    dag = read_dags().dags[DAG_ID]

    assert {task.task_id: set(task.downstream_task_ids) for task in dag.tasks} == {
        each: set(TASKS[place : place + 1]) for place, each in enumerate(TASKS, start=1)
    }
    assert {task.trigger_rule.value for task in dag.tasks} == {"all_success"}


def test_it_runs_each_day_once_at_a_time_and_never_catches_up() -> None:
    dag = read_dags().dags[DAG_ID]

    schedule: object = dag.schedule
    assert schedule == "@daily"
    assert not dag.catchup
    assert dag.max_active_runs == 1
    assert dag.owner == "tillstream"
    assert dag.tags == {"tillstream", "nightly"}
    assert "load_csv_to_database" in (dag.doc_md or "")


def test_every_task_is_tried_again_with_growing_pauses_and_bounded_in_time() -> None:
    dag = read_dags().dags[DAG_ID]
    assert dag.dagrun_timeout is not None

    for task in dag.tasks:
        assert task.retries is not None
        assert task.retries >= 2
        assert task.retry_exponential_backoff > 1
        assert isinstance(task.retry_delay, timedelta)
        assert isinstance(task.max_retry_delay, timedelta)
        assert task.retry_delay < task.max_retry_delay
        assert task.execution_timeout is not None
        assert timedelta(0) < task.execution_timeout < dag.dagrun_timeout


def test_the_load_gives_up_before_airflow_ends_it() -> None:
    dag = read_dags().dags[DAG_ID]
    longest = dag.params.get_param("load_within_minutes").schema["maximum"]

    limit = dag.get_task("load_csv_to_database").execution_timeout
    assert limit is not None
    assert timedelta(minutes=longest) < limit


def test_every_parameter_has_a_valid_default_and_says_what_it_means() -> None:
    params = read_dags().dags[DAG_ID].params

    params.validate()
    assert set(params) == {
        "max_rejected_percent",
        "max_parked_percent",
        "load_within_minutes",
        "max_new_quarantined",
        "max_lag_seconds",
    }
    assert all(params.get_param(name).description for name in params)


def test_the_load_is_an_outlet_that_other_dags_can_be_scheduled_on() -> None:
    dag = read_dags().dags[DAG_ID]

    outlets = {task.task_id: task.outlets for task in dag.tasks if task.outlets}
    assert outlets == {"load_csv_to_database": [Asset(name="shop_data", uri="tillstream://shop/data")]}


def test_each_check_has_its_file_and_each_file_its_check() -> None:
    assert sorted(check.name for check in CHECKS) == [file.name for file in sql_files(SQL / "checks")]


def test_the_verdict_covers_every_error_and_no_warning() -> None:
    task = read_dags().dags[DAG_ID].get_task("run_data_quality_tests")

    assert isinstance(task, KeptChecksOperator)
    assert list(task.checks) == [check.name for check in CHECKS if check.severity is Severity.ERROR]
