"""The seam between Airflow and the plain modules: parameters and connections in, Airflow's own failures out."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Any

from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowFailException

from tillstream_dags.build_views import build_views
from tillstream_dags.doors import Doors
from tillstream_dags.environment import shop_of
from tillstream_dags.errors import Refused
from tillstream_dags.export_revenue import export_revenue
from tillstream_dags.load_files import COUNTS, Limits, load_files
from tillstream_dags.parameters import refuse_unknown

REPORTS = "tillstream_reports"
S_PER_MINUTE = 60


def load_csv_to_database() -> list[dict[str, Any]]:
    """The statements of the five jobs, for the next tasks and for who looks. As the first task it refuses a run's unknown parameters."""
    context = get_current_context()
    with _final_failures():
        refuse_unknown(context["dag_run"].conf or {}, context["dag"].params)
        shop = shop_of(os.environ)
        params = context["params"]
        limits = Limits(
            rejected_percent=params["max_rejected_percent"],
            parked_percent=params["max_parked_percent"],
            within_s=params["load_within_minutes"] * S_PER_MINUTE,
        )
        with Doors(shop.ingest_url, shop.query_url) as doors:
            jobs = load_files(shop.raw, moment_of(context), doors, limits)
    return [{name: job[name] for name in ("job_id", "file_name", "status", *COUNTS)} for job in jobs]


def build_sql_views() -> list[str]:
    """The names of the views."""
    with _reports() as connection:
        return build_views(connection)


def materialize_daily_revenue() -> list[str]:
    """The paths of the files."""
    context = get_current_context()
    with _final_failures(), _reports() as connection:
        paths = export_revenue(connection, shop_of(os.environ).output, moment_of(context))
    return [str(path) for path in paths]


def moment_of(context: Any) -> datetime:
    """The end of the run's data interval. A run without an interval, as the API may start one, has the moment of its start."""
    moment: datetime = context.get("data_interval_end") or context["dag_run"].run_after
    return moment


@contextmanager
def _final_failures() -> Iterator[None]:
    """What a retry cannot change is not retried."""
    try:
        yield
    except Refused as problem:
        raise AirflowFailException(str(problem)) from problem


@contextmanager
def _reports() -> Iterator[Any]:
    with closing(PostgresHook(postgres_conn_id=REPORTS).get_conn()) as connection:
        yield connection
