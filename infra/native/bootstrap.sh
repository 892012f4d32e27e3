#!/bin/sh
# Makes .venv once, from the locks, and runs a command in it: bootstrap.sh [COMMAND [ARGUMENT…]]
# A second run that finds nothing changed takes milliseconds.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
venv=$root/.venv
tools=bootstrap

sources() {
    cat infra/native/*.sh requirements/*.txt shared/pyproject.toml services/*/pyproject.toml
}

install_packages() {
    "$uv" pip sync -q --require-hashes requirements/services.txt requirements/dev.txt
    "$uv" pip install -q --no-deps --no-build-isolation -e shared $(printf -- '-e %s ' services/*/)
}

. "$root/infra/native/environment.sh"
ensure_environment
[ "$#" -gt 0 ] || exit 0
export PATH="$venv/bin:$PATH" PYTHONPATH="$root/infra/native"
exec "$@"
