#!/bin/sh
# Makes .venv-airflow once, from requirements/airflow.txt, and runs a command in it: bootstrap.sh [COMMAND [ARGUMENT…]]
# Airflow wants an older FastAPI than the services, so the two never share an environment. See infra/native/bootstrap.sh.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
cache=${CACHE:-$root/.cache}
venv=$root/.venv-airflow
needed_kib=2000000

fail() {
    echo "$*" >&2
    exit 1
}

fingerprint() {
    cd "$root"
    { echo "$root ${PYTHON:-}"; cat infra/airflow/bootstrap.sh requirements/bootstrap.txt requirements/airflow.txt; } | cksum
}

# uv reads none of pip's configuration, so a package index that is set there is handed over.
follow_pips_index() {
    index=${PIP_INDEX_URL:-$("$1" -m pip config get global.index-url 2>/dev/null || true)}
    if [ -n "$index" ]; then export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"; fi
}

is_current() {
    [ -x "$venv/bin/python" ] && [ "$(cat "$venv/.stamp" 2>/dev/null)" = "$stamp" ]
}

install() {
    python=$(infra/native/find_python.sh)
    free_kib=$(df -Pk "$root" | awk 'NR == 2 {print $4}')
    [ "$free_kib" -ge "$needed_kib" ] || fail "Only $((free_kib / 1000)) MB are free on the disk of $root; the environment wants $((needed_kib / 1000)) MB."
    mkdir -p "$cache"
    exec 9>"$cache/bootstrap-airflow.lock" # two commands at once: the second one waits, and finds the work done
    if command -v flock >/dev/null; then flock 9; fi
    if is_current; then return; fi
    echo "Setting up .venv-airflow with $("$python" -V) …" >&2
    export PIP_CACHE_DIR="$cache/pip" PIP_DISABLE_PIP_VERSION_CHECK=1 UV_CACHE_DIR="$cache/uv" UV_PYTHON_DOWNLOADS=never
    export UV_SYSTEM_CERTS=1 # as pip does: a company's own certificates are installed there
    "$python" -m venv --clear "$cache/bootstrap-airflow"
    "$cache/bootstrap-airflow/bin/python" -m pip install -q --require-hashes -r requirements/bootstrap.txt
    follow_pips_index "$cache/bootstrap-airflow/bin/python"
    export VIRTUAL_ENV="$venv"
    uv="$cache/bootstrap-airflow/bin/uv"
    "$uv" venv -q --clear --python "$python" "$venv"
    "$uv" pip sync -q --require-hashes requirements/airflow.txt
    echo "$stamp" >"$venv/.stamp"
}

stamp=$(fingerprint)
if ! is_current; then (cd "$root" && install); fi # in a shell of its own, which ends the lock
[ "$#" -gt 0 ] || exit 0
unset PYTHONPATH # of the other environment
export PATH="$venv/bin:$PATH"
exec "$@"
