#!/bin/sh
# Makes .venv-airflow once, from requirements/airflow.txt, and runs a command in it: bootstrap.sh [COMMAND [ARGUMENT…]]
# Airflow wants an older FastAPI than the services, so the two never share an environment.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
venv=$root/.venv-airflow
tools=bootstrap-airflow

sources() {
    cat infra/airflow/bootstrap.sh infra/native/environment.sh requirements/bootstrap.txt requirements/airflow.txt
}

install_packages() {
    "$uv" pip sync -q --require-hashes requirements/airflow.txt
}

. "$root/infra/native/environment.sh"
ensure_environment
[ "$#" -gt 0 ] || exit 0
unset PYTHONPATH # of the other environment
export PATH="$venv/bin:$PATH"
exec "$@"
