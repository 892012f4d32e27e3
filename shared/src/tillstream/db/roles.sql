-- name: create_roles
-- The five roles; made once per cluster, so that a second database finds them there.
DO $roles$
DECLARE
  role_name text;
BEGIN
  FOREACH role_name IN ARRAY ARRAY[
    'tillstream_owner', 'tillstream_worker', 'tillstream_operator', 'tillstream_reader', 'tillstream_reports'
  ] LOOP
    CONTINUE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = role_name);
    BEGIN
      EXECUTE format('CREATE ROLE %I', role_name);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      NULL;  -- a migration of another database of this cluster made it at the same moment
    END;
  END LOOP;
END
$roles$;

-- name: bound_reader
-- What holds for every session of the reader that does not ask otherwise: it writes nothing, and no question runs for ever.
-- query-api sets a limit of its own; a dashboard cannot.
ALTER ROLE tillstream_reader SET default_transaction_read_only = on;
ALTER ROLE tillstream_reader SET statement_timeout = '30s';

-- name: bound_reports
-- The nightly run needs two connections. One that has gone wrong must not take the room of those that serve the shop.
ALTER ROLE tillstream_reports CONNECTION LIMIT 10;

-- name: create_schemas
-- Who owns what: `shop` and `api` belong to the owner, `reports` to the DAG's role.
CREATE SCHEMA IF NOT EXISTS shop AUTHORIZATION tillstream_owner;
CREATE SCHEMA IF NOT EXISTS api AUTHORIZATION tillstream_owner;
CREATE SCHEMA IF NOT EXISTS reports AUTHORIZATION tillstream_reports;

-- name: close_public
-- Nobody creates, connects or makes temporary tables by default. Readers' transactions start read-only; what a reader
-- may touch is decided by the grants all the same.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
DO $database$
BEGIN
  EXECUTE format('REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
  EXECUTE format(
    'GRANT CONNECT ON DATABASE %I TO tillstream_owner, tillstream_worker, tillstream_operator, tillstream_reader,'
    ' tillstream_reports',
    current_database()
  );
  EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO tillstream_worker', current_database());
END
$database$;

-- name: grant_worker
-- What the engine needs and no more: no DDL, no deletes but where a row moves on.
GRANT USAGE ON SCHEMA shop TO tillstream_worker;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA shop TO tillstream_worker;
REVOKE INSERT, UPDATE ON shop.settings FROM tillstream_worker;
REVOKE UPDATE ON shop.file_job_corrections FROM tillstream_worker;
REVOKE INSERT, UPDATE ON shop.partition_decisions FROM tillstream_worker;
GRANT DELETE ON shop.order_items, shop.parked TO tillstream_worker;

-- name: grant_operator
-- What a person's commands need: wishes are written and marks are cleared, and no row of the shop is. Of the shop's tables
-- they see what tells whether a wish would be granted, and not who the customers are: whether an address is taken is
-- answered for an address that is named.
GRANT USAGE ON SCHEMA shop TO tillstream_operator;
GRANT SELECT ON shop.quarantine, shop.replay_requests, shop.consumer_offsets, shop.partition_progress,
  shop.partition_decisions, shop.settings TO tillstream_operator;
GRANT INSERT (topic, kafka_partition, decision, from_offset, to_offset, why, decided_by)
  ON shop.partition_decisions TO tillstream_operator;
GRANT INSERT (quarantine_id, payload, requested_by) ON shop.replay_requests TO tillstream_operator;
GRANT UPDATE (stopped_at, stop_reason) ON shop.partition_progress TO tillstream_operator;
GRANT UPDATE (
  epoch, next_offset, owner, owner_pid, owner_backend_start, cluster_id, topic_id, last_record_id, last_record_at, updated_at
) ON shop.consumer_offsets TO tillstream_operator;
GRANT SELECT (message_id, entity, outcome, content_hash) ON shop.changes TO tillstream_operator;
GRANT SELECT (message_id, content_hash) ON shop.parked TO tillstream_operator;
GRANT SELECT (event_id, user_id, event_type, product_id, event_timestamp) ON shop.events TO tillstream_operator;
REVOKE SELECT (email_key) ON shop.users FROM tillstream_operator;  -- earlier migrations granted it
GRANT SELECT (user_id, version) ON shop.users TO tillstream_operator;
REVOKE EXECUTE ON FUNCTION shop.holders_of_emails(text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shop.holders_of_emails(text[]) TO tillstream_operator;
GRANT SELECT (product_id, version) ON shop.products TO tillstream_operator;
GRANT SELECT (order_id, version, items_version) ON shop.orders TO tillstream_operator;
GRANT SELECT (order_id, order_item_id, version) ON shop.order_items TO tillstream_operator;

-- name: grant_readers
-- Readers see the views of `api` only.
GRANT USAGE ON SCHEMA api TO tillstream_reader, tillstream_reports;
GRANT SELECT ON ALL TABLES IN SCHEMA api TO tillstream_reader, tillstream_reports;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA api FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA api TO tillstream_owner, tillstream_reader, tillstream_reports;
