-- name: look
-- The events that cannot simply be stored: whose parent is missing, or whose id is known. An id is looked up one by one:
-- the plan is kept from a time when the table was small, and must not read the whole of it once it is large.
WITH expired AS (
  SELECT message_id FROM shop.quarantine WHERE waits_for IS NOT NULL AND resolved_at IS NULL
),
checked AS (
  SELECT
    i.ord, i.user_id, i.product_id, u.user_id IS NULL AS no_user,
    i.product_id IS NOT NULL AND p.product_id IS NULL AS no_product,
    e.is_stored IS NOT NULL
      OR NOT i.woken AND EXISTS (SELECT 1 FROM shop.parked AS w WHERE w.message_id = i.event_id)
      OR NOT (i.woken OR i.correction) AND EXISTS (SELECT 1 FROM expired AS w WHERE w.message_id = i.event_id)
      AS is_known
  FROM incoming_events AS i
  LEFT JOIN shop.users AS u ON u.user_id = i.user_id
  LEFT JOIN shop.products AS p ON p.product_id = i.product_id
  LEFT JOIN LATERAL (SELECT true AS is_stored FROM shop.events WHERE event_id = i.event_id LIMIT 1) AS e ON true
  WHERE i.active
)
SELECT
  ord,
  CASE WHEN no_user THEN 'user' WHEN no_product THEN 'product' END,
  CASE WHEN no_user THEN user_id WHEN no_product THEN product_id END
FROM checked
WHERE no_user OR no_product OR is_known

-- name: insert
-- Stores all others. An id that another session stored in between ends the statement; the second look finds it.
INSERT INTO shop.events (
  event_id, user_id, event_type, product_id, event_timestamp, source, accepted_at, kafka_partition, kafka_offset,
  job_id, line
)
SELECT
  event_id, user_id, event_type, product_id, event_timestamp, source, accepted_at, kafka_partition, kafka_offset,
  job_id, line
FROM incoming_events
WHERE active AND ord <> ALL(%(odd)s)
ORDER BY event_id

-- name: judge
-- What was not stored: known with the same content, known with another, or, with no outcome, not known at all; and the
-- hash of what waits under its id. Parents are not looked at again: one that came since the first look would make this one
-- contradict it.
WITH waiting AS (
  SELECT message_id, content_hash, true AS is_parked FROM shop.parked
  UNION ALL
  SELECT message_id, content_hash, false FROM shop.quarantine WHERE waits_for IS NOT NULL AND resolved_at IS NULL
)
SELECT
  i.ord,
  CASE
    WHEN e.event_id IS NOT NULL THEN
      CASE
        WHEN (e.user_id, e.event_type, e.product_id, e.event_timestamp)
          IS NOT DISTINCT FROM (i.user_id, i.event_type, i.product_id, i.event_timestamp) THEN 'duplicate'
        ELSE 'quarantined'
      END
  END AS outcome,
  CASE WHEN NOT i.woken AND (w.is_parked OR NOT i.correction) THEN w.content_hash END AS waiting_content
FROM incoming_events AS i
LEFT JOIN shop.events AS e ON e.event_id = i.event_id
LEFT JOIN waiting AS w ON w.message_id = i.event_id
WHERE i.ord = ANY(%(ords)s)
