-- name: alone
-- One sweep at a time, or none: nobody waits for it, and a row that waits needs no lock while its batch is staged.
SELECT pg_try_advisory_xact_lock(7305112025)

-- name: parents_waited_for
-- Of the parents that a batch stored, those that something waits for.
SELECT p.entity, p.message_id, p.source, p.accepted_at, p.version, p.content_hash, p.payload, p.content, p.topic,
  p.kafka_partition, p.kafka_offset, p.job_id, p.line
FROM shop.parked AS p
JOIN unnest(%(kinds)s::text[], %(keys)s::bigint[]) AS stored (waits_for, waits_key) USING (waits_for, waits_key)
ORDER BY p.message_id
LIMIT %(limit)s

-- name: look_at_parked
-- A stretch of what is parked, from where the last one ended, and whether its parent is there by now.
WITH window_of AS (
  SELECT * FROM shop.parked
  WHERE (waits_for, waits_key, message_id) > (%(waits_for)s, %(waits_key)s, %(message_id)s)
  ORDER BY waits_for, waits_key, message_id
  LIMIT %(window)s
)
SELECT
  p.entity, p.message_id, p.source, p.accepted_at, p.version, p.content_hash, p.payload, p.content, p.topic,
  p.kafka_partition, p.kafka_offset, p.job_id, p.line,
  p.waits_for, p.waits_key, p.message_id, CASE p.waits_for
    WHEN 'user' THEN EXISTS (SELECT 1 FROM shop.users WHERE user_id = p.waits_key)
    WHEN 'product' THEN EXISTS (SELECT 1 FROM shop.products WHERE product_id = p.waits_key)
    ELSE EXISTS (SELECT 1 FROM shop.orders WHERE order_id = p.waits_key)
  END AS is_woken
FROM window_of AS p
ORDER BY p.waits_for, p.waits_key, p.message_id

-- name: look_at_quarantine
-- The same for changes that ran out of time.
WITH window_of AS (
  SELECT * FROM shop.quarantine
  WHERE waits_for IS NOT NULL AND resolved_at IS NULL AND (waits_for, waits_key, id) > (%(waits_for)s, %(waits_key)s, %(id)s)
  ORDER BY waits_for, waits_key, id
  LIMIT %(window)s
)
SELECT
  p.entity, p.message_id, p.source, p.accepted_at, p.version, p.content_hash, p.payload, p.content, p.topic,
  p.kafka_partition, p.kafka_offset, p.job_id, p.line,
  p.waits_for, p.waits_key, p.id, CASE p.waits_for
    WHEN 'user' THEN EXISTS (SELECT 1 FROM shop.users WHERE user_id = p.waits_key)
    WHEN 'product' THEN EXISTS (SELECT 1 FROM shop.products WHERE product_id = p.waits_key)
    ELSE EXISTS (SELECT 1 FROM shop.orders WHERE order_id = p.waits_key)
  END AS is_woken
FROM window_of AS p
ORDER BY p.waits_for, p.waits_key, p.id

-- name: expire
-- Moves what waited too long to quarantine, where it still wakes if its parent comes.
WITH expired AS (
  DELETE FROM shop.parked WHERE message_id IN (
    SELECT message_id FROM shop.parked WHERE expires_at <= now()
    ORDER BY message_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
  )
  RETURNING *
),
noted AS (
  UPDATE shop.changes AS c SET outcome = 'quarantined', reason = 'unknown_' || e.waits_for, applied_at = now()
  FROM expired AS e WHERE c.message_id = e.message_id
),
kept AS (
  INSERT INTO shop.quarantine AS q (
    message_id, content_hash, entity, reason, field, message, version, payload, content, source, topic,
    kafka_partition, kafka_offset, job_id, line, accepted_at, waits_for, waits_key
  )
  SELECT
    message_id, content_hash, entity, 'unknown_' || waits_for, waits_for || '_id',
    'The ' || waits_for || ' ' || waits_key || ' did not appear within the time limit for waiting.', version, payload,
    content, source, topic, kafka_partition, kafka_offset, job_id, line, accepted_at, waits_for, waits_key
  FROM expired ORDER BY message_id
  ON CONFLICT (message_id, content_hash) DO UPDATE SET
    resolved_at = NULL, resolution = NULL, reason = excluded.reason, message = excluded.message,
    waits_for = excluded.waits_for, waits_key = excluded.waits_key, topic = excluded.topic,
    kafka_partition = excluded.kafka_partition, kafka_offset = excluded.kafka_offset, job_id = excluded.job_id,
    line = excluded.line
)
SELECT job_id, count(*) FROM expired GROUP BY job_id

-- name: move_in_statement
-- A settled row moves to its final column; the statement's sides stay equal. What became a reject is not in the rejects
-- file of its job yet: the count tells the loader.
UPDATE shop.file_jobs SET
  parked = parked + %(parked)s,
  rejected = rejected + %(rejected)s,
  loaded = loaded + %(stored)s,
  unchanged = unchanged + %(unchanged)s,
  superseded = superseded + %(superseded)s,
  duplicate = duplicate + %(duplicate)s,
  late_rejects = late_rejects + CASE WHEN %(rejected)s > 0 THEN 1 ELSE 0 END,
  status = CASE
    WHEN status NOT IN ('loaded', 'loaded_with_rejects') THEN status
    WHEN rejected + %(rejected)s > 0 THEN 'loaded_with_rejects'
    ELSE 'loaded'
  END,
  settled_at = CASE
    WHEN finished_at IS NULL THEN settled_at
    WHEN parked + %(parked)s = 0 THEN coalesce(settled_at, now())
  END
WHERE job_id = %(job_id)s
