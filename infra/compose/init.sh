#!/bin/sh
# What `docker compose up` needs and no repository may hold: `.env`, `secrets/` and the data folder. Safe to run again: what is there is kept.
#   init.sh            for a machine of one's own: TILLSTREAM_ENV=development, Airflow's login is admin / admin123
#   ENVIRONMENT=production   no password that anybody knows; once there is a `.env`, its TILLSTREAM_ENV is what holds without this
#   PORT_OFFSET=100    every published port moved by that much
#   TARGET=folder      where to write, instead of the repository
set -eu

umask 077
here=$(cd "$(dirname "$0")/../.." && pwd)
target=${TARGET:-$here}
settled=$(sed -n 's/^TILLSTREAM_ENV=//p' "$target/.env" 2>/dev/null | tail -n 1)
env_name=${ENVIRONMENT:-${settled:-development}}
offset=${PORT_OFFSET:-0}
secrets=$target/secrets
random_bytes=24

fail() {
    echo "init: $*" >&2
    exit 1
}

case $env_name in development | production) ;; *) fail "ENVIRONMENT must be development or production, not '$env_name'." ;; esac
case $offset in '' | *[!0-9]*) fail "PORT_OFFSET must be a whole number, not '$offset'." ;; esac
case $offset in 0?*) fail "PORT_OFFSET must have no leading zero, not '$offset': a shell would count in eights." ;; esac
[ "$offset" -le 50000 ] || fail "PORT_OFFSET must be 50000 or less: no port lies above 65535."

random() { # of the URL-safe alphabet, 32 characters from 24 bytes
    head -c "${1:-$random_bytes}" /dev/urandom | base64 | tr -d '\n' | tr '+/' '-_'
}

# Readable for the containers' users, who are not the user here; others on this machine cannot enter the folder.
write() { # NAME: keeps a file that is there; a half-written one never has the name
    if [ -s "$secrets/$1" ]; then
        cat >/dev/null
        return
    fi
    cat >"$secrets/.$1.half"
    chmod 0444 "$secrets/.$1.half"
    mv "$secrets/.$1.half" "$secrets/$1"
}

password() { # ROLE: its password, made the first time
    random | write "$1.password"
    cat "$secrets/$1.password"
}

database_url() { # ROLE DATABASE
    printf 'postgresql://%s:%s@postgres:5432/%s' "$1" "$(password "$1")" "$2"
}

write_secrets() {
    mkdir -p "$secrets"
    chmod 0700 "$secrets"
    # Two at once: an address must not hold the password that the other one has just replaced. Held until the script ends.
    exec 9<"$secrets"
    if command -v flock >/dev/null; then flock 9; fi
    password postgres >/dev/null
    password grafana_admin >/dev/null
    for role in tillstream_owner tillstream_worker tillstream_operator tillstream_reader tillstream_reports; do
        database_url "$role" tillstream | write "$role.url"
    done
    printf 'postgresql+psycopg2://airflow:%s@postgres:5432/airflow' "$(password airflow)" | write airflow.url
    random 32 | write airflow_fernet.key
    random 32 | write airflow_jwt.key
    random 32 | write airflow_api.key
    if [ "$env_name" = development ]; then admin=admin123; else admin=$(random); fi
    printf '{"admin": "%s"}' "$admin" | write airflow_logins.json
    printf '{"tillstream_reports": {"conn_type": "postgres", "host": "postgres", "port": 5432, "schema": "tillstream", "login": "tillstream_reports", "password": "%s"}}' \
        "$(password tillstream_reports)" | write airflow_connections.json
}

port() { echo $(($1 + offset)); }

write_env() {
    if [ -e "$target/.env" ]; then return; fi
    while IFS= read -r line; do
        case $line in
            TILLSTREAM_ENV=*) line=TILLSTREAM_ENV=$env_name ;;
            KAFKA_CLUSTER_ID=*) line=KAFKA_CLUSTER_ID=$(random 16 | tr -d '=' | sed 's/^-/A/') ;;
            PORT_*=*) line=${line%%=*}=$(port "${line#*=}") ;;
        esac
        printf '%s\n' "$line"
    done <"$here/.env.example" >"$target/.env.half"
    mv "$target/.env.half" "$target/.env"
}

# `docker compose up` opens them to the services' user (infra/images/folders.py).
make_folders() {
    umask 027 # others on this machine do not get to what customers and partners send; who drops as somebody else is let in by hand
    mkdir -p "$target/data"
    for folder in input work processed error invalid output raw; do mkdir -p "$target/data/$folder"; done
    umask 022
    [ -e "$here/data/sample/users.csv" ] || fail "data/sample/ is missing, which is part of the repository: 'git checkout data' brings it back."
    for file in "$here"/data/sample/*.csv; do
        if [ ! -e "$target/data/raw/${file##*/}" ]; then cp "$file" "$target/data/raw/"; fi
    done
}

write_secrets
write_env
make_folders
echo "Ready for 'docker compose up --wait' ($(grep '^TILLSTREAM_ENV=' "$target/.env")). Secrets: secrets/, settings: .env, drop files into data/input/."
