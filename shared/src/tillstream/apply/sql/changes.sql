-- name: claim
-- Takes each message id before anything else: a session that brings the same id at the same moment waits here.
WITH claimed AS (
  INSERT INTO shop.changes (
    message_id, entity, key, parent_key, version, content_hash, outcome, source, topic, kafka_partition, kafka_offset,
    job_id, line, accepted_at
  )
  SELECT
    message_id, entity, key, parent_key, version, content_hash, 'stored', source, topic, kafka_partition, kafka_offset,
    job_id, line, accepted_at
  FROM incoming WHERE active
  ORDER BY message_id
  ON CONFLICT (message_id) DO NOTHING
  RETURNING message_id
)
UPDATE incoming AS i SET claimed = c.message_id IS NOT NULL
FROM incoming AS j LEFT JOIN claimed AS c USING (message_id)
WHERE i.ord = j.ord AND i.active

-- name: recall
-- An id that came before: the same content is a duplicate, another one a conflict. What woke goes on, and a correction
-- of what was refused; a change that waits was accepted, and is corrected no more.
WITH known AS (
  SELECT c.message_id, c.entity, c.content_hash, c.outcome
  FROM shop.changes AS c
  WHERE c.message_id IN (SELECT message_id FROM incoming WHERE active AND NOT claimed)
  ORDER BY c.message_id
  FOR UPDATE
)
UPDATE incoming AS i SET
  outcome = CASE WHEN k.content_hash = i.content_hash AND k.entity = i.entity THEN 'duplicate' ELSE 'quarantined' END,
  reason = CASE WHEN k.content_hash = i.content_hash AND k.entity = i.entity THEN NULL ELSE 'id_conflict' END
FROM known AS k
WHERE k.message_id = i.message_id AND i.active AND NOT i.claimed
  AND NOT (i.correction AND k.outcome = 'quarantined')
  AND NOT (i.woken AND k.outcome IN ('parked', 'quarantined'))

-- name: settle
-- Writes what became of the claimed ids where it is not what the claim said, and of corrected ones in any case.
UPDATE shop.changes AS c SET
  outcome = i.outcome, reason = i.reason, version = i.version, content_hash = i.content_hash, key = i.key,
  parent_key = i.parent_key, topic = i.topic, kafka_partition = i.kafka_partition, kafka_offset = i.kafka_offset,
  job_id = i.job_id, line = i.line, applied_at = now()
FROM incoming AS i
WHERE i.active AND c.message_id = i.message_id AND i.outcome <> 'duplicate' AND i.reason IS DISTINCT FROM 'id_conflict'
  AND (i.outcome <> 'stored' OR NOT i.claimed)
