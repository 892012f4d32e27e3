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
WHERE %(correction)s
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
  resolved_at = NULL, resolution = NULL, reason = excluded.reason, message = excluded.message, waits_for = NULL,
  waits_key = NULL
WHERE %(correction)s AND q.resolved_at IS NOT NULL
RETURNING q.id

-- name: resolve
-- A correction went through, or was refused anew: the entries of its own first attempt are settled. Other contents that
-- came under the same id were never applied, and stay open.
UPDATE shop.quarantine SET resolved_at = now(), resolution = %(resolution)s
WHERE message_id = %(message_id)s AND version = %(version)s AND resolved_at IS NULL
  AND (reason <> 'id_conflict' OR content_hash = %(content_hash)s)
  AND content_hash IS DISTINCT FROM %(keep)s

-- name: unpark
-- A parked change that was applied or refused no longer waits.
DELETE FROM shop.parked WHERE message_id = ANY(%(message_ids)s)
