-- name: create
-- Plain orders of a file, while they are looked at: private to the connection, empty after each transaction.
CREATE TEMPORARY TABLE IF NOT EXISTS file_orders (
  line bigint NOT NULL,
  message_id uuid NOT NULL,
  key bigint NOT NULL,
  version bytea NOT NULL,
  content_hash bytea NOT NULL,
  user_id bigint NOT NULL,
  happened_at timestamptz NOT NULL,
  amount numeric NOT NULL,
  kind text NOT NULL
) ON COMMIT DELETE ROWS

-- name: copy
-- All plain rows of a chunk.
COPY file_orders (line, message_id, key, version, content_hash, user_id, happened_at, amount, kind)
FROM STDIN (FORMAT BINARY)

-- name: store
-- All others, each with its receipt. Nobody else has their ids: they are made of this job and their lines. One that was
-- taken all the same ends the statement, and the chunk goes the long way. What is left out is joined: by `<> ALL` the planner
-- believes that hardly a row stays, and then holds each candidate against each applied one.
WITH candidates AS (
  SELECT * FROM file_orders AS i
  WHERE NOT EXISTS (SELECT FROM unnest(%(left_out)s::bigint[]) AS l (line) WHERE l.line = i.line)
),
applied AS (
  INSERT INTO shop.orders AS o (order_id, user_id, order_date, status, total_amount, version)
  SELECT key, user_id, happened_at, kind, amount, version FROM candidates ORDER BY key
  ON CONFLICT (order_id) DO UPDATE SET
    user_id = excluded.user_id, order_date = excluded.order_date, status = excluded.status,
    total_amount = excluded.total_amount, version = excluded.version, stored_at = now()
  WHERE excluded.version > o.version
  RETURNING new.order_id AS key,
    (old.user_id, old.order_date, old.status, old.total_amount)
      IS NOT DISTINCT FROM (new.user_id, new.order_date, new.status, new.total_amount) AS is_same
),
receipts AS (
  INSERT INTO shop.changes (
    message_id, entity, key, version, content_hash, outcome, source, job_id, line, accepted_at
  )
  SELECT
    c.message_id, 'order', c.key, c.version, c.content_hash,
    CASE WHEN a.key IS NULL THEN 'superseded' WHEN a.is_same THEN 'unchanged' ELSE 'stored' END,
    %(source)s, %(job_id)s, c.line, %(accepted_at)s
  FROM candidates AS c LEFT JOIN applied AS a USING (key)
  RETURNING outcome
)
SELECT outcome, count(*) FROM receipts GROUP BY outcome

-- name: waited_for
-- Whether anything waits for an order.
SELECT EXISTS (SELECT FROM shop.parked WHERE waits_for = 'order')
