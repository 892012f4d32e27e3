"""### The nightly run

Loads the shop's own export, builds the analytical views, tests the data, and writes the revenue by day. It stops at the
first task that fails: no figure is published that was not tested.

| task | does |
|---|---|
| `load_csv_to_database` | sends the five files of `raw/` to ingest-api and waits for their statements |
| `build_sql_views` | makes the views of schema `reports` anew |
| `run_data_quality_tests` | measures, keeps (`reports.quality_results`) and judges |
| `materialize_daily_revenue` | writes `output/daily_revenue.csv` and a copy with the day in its name |

Every task may be retried or cleared at any time, and a run may be repeated. What to do when one is red stands in
`docs/runbooks/nightly-run.md`.
"""

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, Asset, Param

from tillstream_dags import tasks
from tillstream_dags.quality_operator import KeptChecksOperator

SHOP_DATA = Asset(name="shop_data", uri="tillstream://shop/data")
HOUR = timedelta(hours=1)

with DAG(
    dag_id="ecommerce_etl_pipeline",
    description="Load the shop's files, build the views, test the data, write the daily revenue.",
    doc_md=__doc__,
    schedule="@daily",
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=6 * HOUR,
    tags=["tillstream", "nightly"],
    default_args={
        "owner": "tillstream",
        "retries": 3,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(minutes=10),
        "execution_timeout": HOUR,
    },
    params={
        "max_rejected_percent": Param(
            1,
            type="number",
            minimum=0,
            maximum=100,
            description="Rejected rows that a file may have, in per cent.",
        ),
        "max_parked_percent": Param(
            1,
            type="number",
            minimum=0,
            maximum=100,
            description="Rows without a parent that a file may have, in per cent.",
        ),
        "load_within_minutes": Param(
            120,
            type="number",
            exclusiveMinimum=0,
            maximum=170,
            description="How long the five files may take together.",
        ),
        "max_new_quarantined": Param(
            100,
            type="integer",
            minimum=0,
            description="Open quarantine entries that may have come since the run before.",
        ),
        "max_lag_seconds": Param(
            300, type="number", minimum=0, description="How far the tables may be behind the stream."
        ),
    },
) as dag:
    load_csv_to_database = PythonOperator(
        task_id="load_csv_to_database",
        python_callable=tasks.load_csv_to_database,
        outlets=[SHOP_DATA],
        execution_timeout=3 * HOUR,
    )
    build_sql_views = PythonOperator(task_id="build_sql_views", python_callable=tasks.build_sql_views)
    run_data_quality_tests = KeptChecksOperator(task_id="run_data_quality_tests", conn_id=tasks.REPORTS)
    materialize_daily_revenue = PythonOperator(
        task_id="materialize_daily_revenue", python_callable=tasks.materialize_daily_revenue
    )
    load_csv_to_database >> build_sql_views >> run_data_quality_tests >> materialize_daily_revenue
