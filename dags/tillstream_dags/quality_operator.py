"""The operator behind `run_data_quality_tests`."""

from contextlib import closing
from typing import Any

from airflow.providers.common.sql.operators.sql import SQLTableCheckOperator
from airflow.sdk import Context

from tillstream_dags.quality import CHECKS, RESULTS, Run, Severity, measure

# The id of a task instance is another one for each try. Where no row was kept, `bool_and` is null and the check fails.
THIS_MEASUREMENT = "measurement = '{{ ti.id }}'"
PASSED = "bool_and(passed)"


class KeptChecksOperator(SQLTableCheckOperator):
    """Measures every check, keeps what was found in `reports.quality_results`, and then judges what was kept.

    The verdict is that of SQLTableCheckOperator over the rows of this measurement, so nothing can fail here that is
    not kept, nor pass. Bad data stays bad, so a failed check is not tried again.
    """

    def __init__(self, *, conn_id: str, **kwargs: Any) -> None:
        errors = [check.name for check in CHECKS if check.severity is Severity.ERROR]
        super().__init__(
            conn_id=conn_id,
            table=RESULTS,
            partition_clause=THIS_MEASUREMENT,
            checks={
                name: {"check_statement": PASSED, "partition_clause": f"check_name = '{name}'"}
                for name in errors
            },
            accept_none=False,
            retry_on_failure=False,
            **kwargs,
        )

    def execute(self, context: Context) -> None:
        """Raises AirflowFailException, naming the checks, after everything was kept."""
        instance = context["ti"]
        run = Run(
            measurement=instance.id,
            run_id=context["run_id"],
            attempt=instance.try_number,
            limits=dict(context["params"]),
        )
        with closing(self.get_db_hook().get_conn()) as connection:
            measure(connection, run)
        super().execute(context)
