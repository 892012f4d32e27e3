#!/bin/bash
# Airflow's parts in one container. `airflow standalone` would go on without a part that has ended; here the container ends with the
# first of them, and its restart policy brings all back.
set -euo pipefail

logins=/run/secrets/airflow_logins.json
if [ "$TILLSTREAM_ENV" != development ] && grep -qE '"(admin|admin123|airflow|password|changeme)"\s*\}' "$logins"; then
    echo "secrets/airflow_logins.json holds a well-known development password, which TILLSTREAM_ENV=$TILLSTREAM_ENV refuses." >&2
    exit 78
fi

# Airflow opens the file of its logins for writing, and secrets cannot be written.
umask 077
install -m 0600 "$logins" /tmp/logins.json
export AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE=/tmp/logins.json

airflow db migrate
pids=()
for part in "${@:-api-server scheduler dag-processor triggerer}"; do
    for each in $part; do
        airflow "$each" &
        pids+=($!)
    done
done
trap 'kill -TERM "${pids[@]}" 2>/dev/null' TERM INT
ended=0
wait -n "${pids[@]}" || ended=$?
echo "A part of Airflow has ended with $ended; ending the others." >&2
kill -TERM "${pids[@]}" 2>/dev/null || true
wait
exit 1
