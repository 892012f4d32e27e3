-- name: create
-- Where a batch lies while it is judged: private to the connection, empty after each transaction.
CREATE TEMPORARY TABLE IF NOT EXISTS incoming (
  ord integer NOT NULL,
  active boolean NOT NULL,
  correction boolean NOT NULL,
  woken boolean NOT NULL,
  entity text NOT NULL,
  message_id uuid NOT NULL,
  key bigint NOT NULL,
  parent_key bigint,
  version bytea NOT NULL,
  content_hash bytea NOT NULL,
  source text NOT NULL,
  topic text,
  kafka_partition smallint,
  kafka_offset bigint,
  job_id uuid,
  line bigint,
  accepted_at timestamptz NOT NULL,
  name text,
  email text,
  signup_date timestamptz,
  product_name text,
  category text,
  price numeric,
  user_id bigint,
  order_date timestamptz,
  status text,
  total_amount numeric,
  has_items boolean,
  product_id bigint,
  quantity bigint,
  unit_price numeric,
  claimed boolean,
  outcome text,
  reason text,
  waits_for text,
  waits_key bigint
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE IF NOT EXISTS incoming_items (
  ord integer NOT NULL,
  order_item_id bigint NOT NULL,
  product_id bigint NOT NULL,
  quantity bigint NOT NULL,
  unit_price numeric NOT NULL
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE IF NOT EXISTS incoming_events (
  ord integer NOT NULL,
  active boolean NOT NULL DEFAULT true,
  correction boolean NOT NULL DEFAULT false,
  woken boolean NOT NULL DEFAULT false,
  event_id uuid NOT NULL,
  user_id bigint NOT NULL,
  event_type text NOT NULL,
  product_id bigint,
  event_timestamp timestamptz NOT NULL,
  source text NOT NULL,
  accepted_at timestamptz NOT NULL,
  kafka_partition smallint,
  kafka_offset bigint,
  job_id uuid,
  line bigint
) ON COMMIT DELETE ROWS

-- name: copy_incoming
-- One row per change of an entity other than events.
COPY incoming (
  ord, active, correction, woken, entity, message_id, key, parent_key, version, content_hash, source, topic,
  kafka_partition, kafka_offset, job_id, line, accepted_at, name, email, signup_date, product_name, category, price,
  user_id, order_date, status, total_amount, has_items, product_id, quantity, unit_price
) FROM STDIN (FORMAT BINARY)

-- name: copy_incoming_items
-- The items that came inside their orders.
COPY incoming_items (ord, order_item_id, product_id, quantity, unit_price) FROM STDIN (FORMAT BINARY)

-- name: copy_incoming_events
-- One row per event.
COPY incoming_events (
  ord, active, correction, woken, event_id, user_id, event_type, product_id, event_timestamp, source, accepted_at,
  kafka_partition, kafka_offset, job_id, line
) FROM STDIN (FORMAT BINARY)

-- name: copy_plain_events
-- One row per event that came first, in plain form and from Kafka.
COPY incoming_events (
  ord, event_id, user_id, event_timestamp, kafka_offset, product_id, event_type, source, accepted_at, kafka_partition
) FROM STDIN (FORMAT BINARY)

-- name: analyze
-- Nobody does it for temporary tables, and without it the joins below are planned as nested loops.
ANALYZE incoming, incoming_items

-- name: activate
-- The next statements see these rows only.
UPDATE incoming SET active = ord = ANY(%(ords)s) WHERE active IS DISTINCT FROM (ord = ANY(%(ords)s))

-- name: activate_events
-- The same for events.
UPDATE incoming_events SET active = ord = ANY(%(ords)s) WHERE active IS DISTINCT FROM (ord = ANY(%(ords)s))

-- name: verdicts
-- What was decided on the active rows.
SELECT ord, outcome, reason, waits_for, waits_key FROM incoming WHERE active

-- name: entities
-- Which entities the active rows speak of.
SELECT DISTINCT entity FROM incoming WHERE active

-- name: refuse
-- Marks the active rows that nothing was decided on.
UPDATE incoming SET outcome = %(outcome)s, reason = %(reason)s WHERE active AND outcome IS NULL
