#!/bin/bash
# Airflow's parts in one container. `airflow standalone` would go on without a part that has ended; here the container ends with the
# first of them, and its restart policy brings all back: start.sh PART…, such as api-server scheduler dag-processor triggerer.
# `tidy` is a part of our own: it deletes what the others leave behind.
set -euo pipefail

migrate_within_s=300
end_within_s=40 # compose.yaml gives the container 60
logins=/run/secrets/airflow_logins.json
tidy=$(dirname "$0")/tidy.py
long_enough='import json, sys
with open(sys.argv[1], encoding="utf-8") as file:
    passwords = json.load(file).values()
sys.exit(not all(len(password) >= 16 for password in passwords))'
# Whatever of it cannot be read is refused too.
if [ "$TILLSTREAM_ENV" != development ] && ! python -I -c "$long_enough" "$logins"; then
    echo "secrets/airflow_logins.json holds a password of less than 16 characters, such as that of development, which TILLSTREAM_ENV=$TILLSTREAM_ENV refuses." >&2
    exit 78
fi

if [[ " $* " == *" tidy "* ]]; then python -I "$tidy" --check || exit 78; fi

# Airflow opens the file of its logins for writing, and secrets cannot be written.
umask 077
install -m 0600 "$logins" /tmp/logins.json
export AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE=/tmp/logins.json

pids=()
end() { # once: a second signal would interrupt a part in its ending
    trap '' TERM INT
    if [ ${#pids[@]} -gt 0 ]; then kill -TERM "${pids[@]}" 2>/dev/null || true; fi
    for _ in $(seq $((end_within_s * 10))); do
        if [ -z "$(jobs -rp)" ]; then exit "$1"; fi
        sleep 0.1
    done
    kill -KILL "${pids[@]}" 2>/dev/null || true
    exit "$1"
}
trap 'end 0' TERM INT

# Only where the server is: two migrations at once do not wait for each other. The other parts are started after the server.
if [[ " $* " == *" api-server "* ]]; then
    timeout "$migrate_within_s" airflow db migrate & # a lock that nobody gives back must not keep the container up and idle
    wait $!
fi
for part in "$@"; do
    if [ "$part" = tidy ]; then
        python -I "$tidy" /opt/airflow/logs &
    else
        airflow "$part" &
    fi
    pids+=($!)
done
ended=0
wait -n "${pids[@]}" || ended=$?
echo "A part of Airflow has ended with $ended; ending the others, so that all are started again." >&2
end 1
