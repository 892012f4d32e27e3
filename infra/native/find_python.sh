#!/bin/sh
# Prints the path of a Python that this project runs on, or one sentence on stderr.
# A shim may exist and fail, so every candidate has to run; some distributions leave out ensurepip or venv.
set -eu

suits() {
    "$1" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1
}

pyenv=$(pyenv root 2>/dev/null || echo "${PYENV_ROOT:-$HOME/.pyenv}")
for candidate in ${PYTHON:+"$PYTHON"} \
    "$pyenv"/versions/3.13*/bin/python "$pyenv"/versions/3.12*/bin/python python3.13 python3.12 python3; do
    if suits "$candidate"; then
        command -v "$candidate"
        exit 0
    fi
done
echo "Tillstream needs Python 3.12 or newer with its venv module, and found none: install one, or name it with PYTHON=/path/to/python." >&2
exit 1
