"""What the tasks of the DAGs do, in plain modules. Only `tasks` and `quality_operator` know Airflow.

Nothing here imports `tillstream` or a service: the DAGs know HTTP and SQL only.
"""
