-- name: insert
-- Stores every event whose parents are there and whose id is new, and returns the others with the parent that they lack.
WITH expired AS (
  SELECT message_id FROM shop.quarantine WHERE waits_for IS NOT NULL AND resolved_at IS NULL
),
checked AS (
  SELECT i.*,
    u.user_id IS NOT NULL AS user_known,
    i.product_id IS NULL OR p.product_id IS NOT NULL AS product_known
  FROM incoming_events AS i
  LEFT JOIN shop.users AS u ON u.user_id = i.user_id
  LEFT JOIN shop.products AS p ON p.product_id = i.product_id
  WHERE i.active
),
stored AS (
  INSERT INTO shop.events (
    event_id, user_id, event_type, product_id, event_timestamp, source, accepted_at, kafka_partition, kafka_offset,
    job_id, line
  )
  SELECT
    event_id, user_id, event_type, product_id, event_timestamp, source, accepted_at, kafka_partition, kafka_offset,
    job_id, line
  FROM checked AS c
  WHERE user_known AND product_known
    AND (c.woken OR NOT EXISTS (SELECT 1 FROM shop.parked AS w WHERE w.message_id = c.event_id))
    AND (c.woken OR c.correction OR NOT EXISTS (SELECT 1 FROM expired AS w WHERE w.message_id = c.event_id))
  ORDER BY event_id
  ON CONFLICT (event_id) DO NOTHING
  RETURNING event_id
)
SELECT
  c.ord,
  CASE WHEN NOT c.user_known THEN 'user' WHEN NOT c.product_known THEN 'product' END,
  CASE WHEN NOT c.user_known THEN c.user_id WHEN NOT c.product_known THEN c.product_id END
FROM checked AS c LEFT JOIN stored AS s USING (event_id)
WHERE s.event_id IS NULL

-- name: judge
-- What was not stored: known with the same content, known with another, or, with no outcome, not known at all; and the
-- hash of what waits under its id. Parents are not looked at again: one that came since the insert would make this look contradict that one.
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
