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

-- name: anything_waits
-- Whether any id may be known without being stored.
SELECT EXISTS (SELECT FROM shop.parked WHERE entity = 'event')
  OR EXISTS (SELECT FROM shop.quarantine WHERE waits_for IS NOT NULL AND resolved_at IS NULL)

-- name: known
-- The rows whose id is known. It is looked up one by one: a plan is kept, and must not read whole tables.
SELECT i.line
FROM file_events AS i
LEFT JOIN LATERAL (SELECT true AS is_there FROM shop.events WHERE event_id = i.event_id LIMIT 1) AS e ON true
WHERE e.is_there
  OR EXISTS (SELECT FROM shop.parked AS w WHERE w.message_id = i.event_id)
  OR EXISTS (
    SELECT FROM shop.quarantine AS w
    WHERE w.message_id = i.event_id AND w.waits_for IS NOT NULL AND w.resolved_at IS NULL
  )

-- name: store
-- All others. An id that is stored already ends the statement; then ids are looked at.
WITH stored AS (
  INSERT INTO shop.events (event_id, user_id, event_type, product_id, event_timestamp, source, accepted_at, job_id, line)
  SELECT event_id, user_id, kind, product_id, happened_at, %(source)s, %(accepted_at)s, %(job_id)s, line
  FROM file_events AS i
  WHERE NOT EXISTS (SELECT FROM unnest(%(left_out)s::bigint[]) AS l (line) WHERE l.line = i.line)
  ORDER BY event_id
  RETURNING event_id
)
SELECT 'stored', count(*) FROM stored

-- name: waited_for
-- Nothing waits for an event.
SELECT false
