#!/bin/sh
# Debian's prometheus and promtool into $CACHE/prometheus: neither installed nor started, and no root needed.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
cache=${CACHE:-$root/.cache}
place=$cache/prometheus

fail() {
    echo "$*" >&2
    exit 1
}

if command -v prometheus >/dev/null && command -v promtool >/dev/null; then exit 0; fi
if [ -x "$place/usr/bin/prometheus" ]; then exit 0; fi
if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    fail "Prometheus is fetched with apt-get, and there is none: install prometheus and promtool by other means, and put them on the path."
fi
mkdir -p "$cache"
half=$(mktemp -d "$cache/prometheus.XXXXXX")
trap 'rm -rf "$half"' EXIT
cd "$half"
patience="-o Acquire::http::Timeout=60 -o Acquire::https::Timeout=60 -o Acquire::Retries=2"
# shellcheck disable=SC2086 - several options
download() { apt-get download -qq $patience -o APT::Sandbox::User=root prometheus 2>"$half/said"; }
download || { apt-get update -qq $patience 2>>"$half/said" && download; } ||
    fail "apt-get could not download prometheus: $(tail -n 1 "$half/said")"
dpkg-deb -x prometheus_*.deb unpacked
rm -rf "$place"
mv unpacked "$place"
