# Sourced by the two bootstrap.sh, not run: one environment from hash-pinned locks, made once. The caller sets
#   root, venv        the repository and the environment
#   tools             the name, in $CACHE, of the environment that has uv; its lock has the same name
#   sources           a command that prints all that the environment is made from, run in the root
#   install_packages  a command that fills the new environment by "$uv", run in the root
# and calls ensure_environment. Everything that is fetched goes to $CACHE.

cache=${CACHE:-$root/.cache}
needed_kib=2000000

fail() {
    echo "$*" >&2
    exit 1
}

# uv reads none of pip's configuration, so a package index that is set there is handed over.
follow_pips_index() {
    index=${PIP_INDEX_URL:-$("$1" -m pip config get global.index-url 2>/dev/null || true)}
    if [ -n "$index" ]; then export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"; fi
}

is_current() {
    [ -x "$venv/bin/python" ] && [ "$(cat "$venv/.stamp" 2>/dev/null)" = "$stamp" ]
}

make_environment() {
    python=$(infra/native/find_python.sh)
    free_kib=$(df -Pk "$root" | awk 'NR == 2 {print $4}')
    [ "$free_kib" -ge "$needed_kib" ] || fail "Only $((free_kib / 1000)) MB are free on the disk of $root; the environment wants $((needed_kib / 1000)) MB."
    mkdir -p "$cache"
    # Two clones may share a cache, and two commands a clone: the second would clear the first one's tools under its hands.
    # Where there is no flock, that stays the caller's affair.
    exec 9>"$cache/$tools.lock"
    if command -v flock >/dev/null; then flock 9; fi
    if is_current; then return; fi
    echo "Setting up ${venv##*/} with $("$python" -V) …" >&2
    export PIP_CACHE_DIR="$cache/pip" PIP_DISABLE_PIP_VERSION_CHECK=1 UV_CACHE_DIR="$cache/uv" UV_PYTHON_DOWNLOADS=never
    export UV_SYSTEM_CERTS=1 # as pip does: a company's own certificates are installed there
    "$python" -m venv --clear "$cache/$tools"
    "$cache/$tools/bin/python" -m pip install -q --require-hashes -r requirements/bootstrap.txt
    follow_pips_index "$cache/$tools/bin/python"
    export VIRTUAL_ENV="$venv"
    uv="$cache/$tools/bin/uv"
    "$uv" venv -q --clear --python "$python" "$venv"
    install_packages
    echo "$stamp" >"$venv/.stamp"
}

ensure_environment() {
    stamp=$(cd "$root" && { echo "$root ${PYTHON:-}"; sources; } | cksum)
    if ! is_current; then (cd "$root" && make_environment); fi # in a shell of its own, which ends the lock
}
