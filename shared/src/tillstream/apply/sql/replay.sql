-- name: answer_for_files
-- What stood in the topic of file jobs is no change of the shop: it cannot be applied, and the answer says so at once.
UPDATE shop.replay_requests AS r SET applied_at = now(), outcome = 'quarantined', reason = q.reason
FROM shop.quarantine AS q
WHERE q.id = r.quarantine_id AND r.applied_at IS NULL AND q.entity = 'file'

-- name: open_requests
-- Wishes that nobody has met yet, oldest first, each with the quarantined message that it is about: at most so many, and
-- no more than fit into so many bytes (the first one in any case).
WITH open AS (
  SELECT r.id, coalesce(r.payload, q.content, q.payload) AS payload, r.quarantine_id
  FROM shop.replay_requests AS r JOIN shop.quarantine AS q ON q.id = r.quarantine_id
  WHERE r.applied_at IS NULL
  ORDER BY r.id
  LIMIT %(limit)s
), measured AS (
  SELECT id, payload, quarantine_id, sum(octet_length(payload)) OVER (ORDER BY id) - octet_length(payload) AS bytes_before
  FROM open
)
SELECT
  r.id, q.id, q.resolved_at IS NULL AS is_open,
  r.payload, q.entity, q.message_id, q.source, q.accepted_at, q.version,
  q.topic, q.kafka_partition, q.kafka_offset, q.job_id, q.line
FROM measured AS r JOIN shop.quarantine AS q ON q.id = r.quarantine_id
WHERE r.bytes_before < %(bytes)s
ORDER BY r.id

-- name: answer
-- The trail: what became of a wish.
UPDATE shop.replay_requests SET applied_at = now(), outcome = %(outcome)s, reason = %(reason)s WHERE id = %(id)s
