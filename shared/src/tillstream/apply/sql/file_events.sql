-- name: create
-- Plain events of a file, while they are looked at: private to the connection, empty after each transaction.
CREATE TEMPORARY TABLE IF NOT EXISTS file_events (
  line bigint NOT NULL,
  event_id uuid NOT NULL,
  user_id bigint NOT NULL,
  happened_at timestamptz NOT NULL,
  product_id bigint,
  kind text NOT NULL
) ON COMMIT DELETE ROWS

-- name: copy
-- All plain rows of a chunk.
COPY file_events (line, event_id, user_id, happened_at, product_id, kind) FROM STDIN (FORMAT BINARY)

-- name: look
-- The rows that cannot simply be stored: whose parent is missing, or whose id is known. All is looked up one by one: a
-- plan is kept, and must not read whole tables.
SELECT i.line
FROM file_events AS i
LEFT JOIN LATERAL (SELECT true AS is_there FROM shop.users WHERE user_id = i.user_id LIMIT 1) AS u ON true
LEFT JOIN LATERAL (SELECT true AS is_there FROM shop.products WHERE product_id = i.product_id LIMIT 1) AS p ON true
LEFT JOIN LATERAL (SELECT true AS is_there FROM shop.events WHERE event_id = i.event_id LIMIT 1) AS e ON true
WHERE u.is_there IS NULL
  OR i.product_id IS NOT NULL AND p.is_there IS NULL
  OR e.is_there
  OR EXISTS (SELECT FROM shop.parked AS w WHERE w.message_id = i.event_id)
  OR EXISTS (
    SELECT FROM shop.quarantine AS w
    WHERE w.message_id = i.event_id AND w.waits_for IS NOT NULL AND w.resolved_at IS NULL
  )

-- name: store
-- All others. An id that another session stored in between ends the statement, and the chunk goes the long way.
WITH stored AS (
  INSERT INTO shop.events (event_id, user_id, event_type, product_id, event_timestamp, source, accepted_at, job_id, line)
  SELECT event_id, user_id, kind, product_id, happened_at, %(source)s, %(accepted_at)s, %(job_id)s, line
  FROM file_events
  WHERE line <> ALL(%(left_out)s::bigint[])
  ORDER BY event_id
  RETURNING event_id
)
SELECT 'stored', count(*) FROM stored

-- name: waited_for
-- Nothing waits for an event.
SELECT false
