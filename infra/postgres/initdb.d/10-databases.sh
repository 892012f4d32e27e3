#!/bin/bash
# What must be there before `tillstream migrate` can log in: the owner's role, its database, and Airflow's own. Runs once, in a new volume.
set -euo pipefail

psql -v ON_ERROR_STOP=1 --no-psqlrc --username "${POSTGRES_USER:-postgres}" --dbname postgres \
    -v owner_password="$(cat /run/secrets/tillstream_owner.password)" -v airflow_password="$(cat /run/secrets/airflow.password)" <<'SQL'
CREATE ROLE tillstream_owner LOGIN CREATEROLE PASSWORD :'owner_password';
-- What the owner creates it may also hand schemas to; that is not so by default.
ALTER ROLE tillstream_owner SET createrole_self_grant = 'set, inherit';
CREATE DATABASE tillstream OWNER tillstream_owner;
CREATE ROLE airflow LOGIN CONNECTION LIMIT 25 PASSWORD :'airflow_password';
CREATE DATABASE airflow OWNER airflow;
REVOKE CONNECT, TEMPORARY ON DATABASE airflow, postgres, template1 FROM PUBLIC;
\connect tillstream
CREATE EXTENSION pg_stat_statements;
-- Nobody of ours has large objects; with them a role that can only read could fill the disk.
REVOKE EXECUTE ON FUNCTION lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea) FROM PUBLIC;
-- The image leaves this password in the server's environment. From here on it opens nothing: the superuser comes in through the
-- container's own socket only (docker compose exec postgres psql).
ALTER ROLE CURRENT_USER PASSWORD NULL;
SQL
