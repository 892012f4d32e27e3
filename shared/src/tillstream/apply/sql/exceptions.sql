-- name: park
-- Keeps a change until its parent comes. Nothing is returned where another session parked the same id first.
INSERT INTO shop.parked AS p (
  message_id, entity, waits_for, waits_key, version, content_hash, payload, content, source, topic, kafka_partition,
  kafka_offset, job_id, line, accepted_at, expires_at
) VALUES (
  %(message_id)s, %(entity)s, %(waits_for)s, %(waits_key)s, %(version)s, %(content_hash)s, %(payload)s, %(content)s,
  %(source)s, %(topic)s, %(partition)s, %(offset)s, %(job_id)s, %(line)s, %(accepted_at)s, now() + %(parked_for)s
)
ON CONFLICT (message_id) DO UPDATE SET
  waits_for = excluded.waits_for, waits_key = excluded.waits_key, content_hash = excluded.content_hash,
  payload = excluded.payload, content = excluded.content, version = excluded.version
WHERE %(woken)s
RETURNING p.message_id

-- name: parked_content
-- What was parked first under an id.
SELECT content_hash FROM shop.parked WHERE message_id = %(message_id)s

-- name: quarantine
-- Keeps what was refused, once per id and content. A correction that is refused as before opens its entry again.
INSERT INTO shop.quarantine AS q (
  message_id, content_hash, entity, reason, field, message, version, payload, content, source, topic, kafka_partition,
  kafka_offset, job_id, line, accepted_at, waits_for, waits_key
) VALUES (
  %(message_id)s, %(content_hash)s, %(entity)s, %(reason)s, %(field)s, %(message)s, %(version)s, %(payload)s,
  %(content)s, %(source)s, %(topic)s, %(partition)s, %(offset)s, %(job_id)s, %(line)s, %(accepted_at)s, NULL, NULL
)
ON CONFLICT (message_id, content_hash) DO UPDATE SET
  resolved_at = NULL, resolution = NULL, reason = excluded.reason, message = excluded.message, job_id = excluded.job_id,
  line = excluded.line, waits_for = NULL, waits_key = NULL
WHERE %(again)s AND q.resolved_at IS NOT NULL
RETURNING q.id

-- name: resolve
-- Corrections went through, or were refused anew: the entries of their own first attempts are settled. What only woke has
-- none but its own, of the time that it waited in vain. Other contents that came under the same ids were never applied, and
-- stay open.
WITH settled AS (
  SELECT q.id, n.resolution
  FROM shop.quarantine AS q
  JOIN unnest(
    %(message_ids)s::uuid[], %(versions)s::bytea[], %(hashes)s::bytea[], %(resolutions)s::text[], %(refused)s::boolean[],
    %(corrections)s::boolean[]
  ) AS n (message_id, version, content_hash, resolution, is_refused, is_correction) USING (message_id, version)
  WHERE q.resolved_at IS NULL
    AND (n.is_correction AND q.reason <> 'id_conflict' OR q.content_hash = n.content_hash)
    AND NOT (n.is_refused AND q.content_hash = n.content_hash)
  ORDER BY q.id
  FOR UPDATE OF q
)
UPDATE shop.quarantine AS q SET resolved_at = now(), resolution = s.resolution FROM settled AS s WHERE q.id = s.id

-- name: unpark
-- What woke and was applied, or refused, no longer waits.
DELETE FROM shop.parked WHERE message_id = ANY(%(message_ids)s)
