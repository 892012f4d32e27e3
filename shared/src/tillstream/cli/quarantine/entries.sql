-- name: page
-- A page of open entries, oldest first, or of those with the given ids whatever became of them. Null for a filter means all.
SELECT
  q.id, q.entity, q.message_id, q.reason, q.message, q.source, q.topic, q.kafka_partition, q.kafka_offset, q.job_id,
  q.line, q.accepted_at, q.received_at, q.version,
  CASE WHEN %(with_payload)s THEN coalesce(q.content, q.payload) ELSE ''::bytea END AS payload,
  q.resolved_at, q.resolution,
  EXISTS (
    SELECT FROM shop.replay_requests AS r WHERE r.quarantine_id = q.id AND r.applied_at IS NULL
  ) AS is_requested
FROM shop.quarantine AS q
WHERE q.id > %(after)s
  AND (%(ids)s::bigint[] IS NULL OR q.id = ANY(%(ids)s))
  AND (%(ids)s::bigint[] IS NOT NULL OR q.resolved_at IS NULL)
  AND (%(reason)s::text IS NULL OR q.reason = %(reason)s)
  AND (%(source)s::text IS NULL OR q.source = %(source)s)
  AND (%(entity)s::text IS NULL OR q.entity = %(entity)s)
  AND (%(topic)s::text IS NULL OR q.topic = %(topic)s)
  AND (%(job)s::uuid IS NULL OR q.job_id = %(job)s)
  AND (%(since)s::timestamptz IS NULL OR q.received_at >= %(since)s)
ORDER BY q.id
LIMIT %(limit)s

-- name: groups
-- How many open entries there are for each reason and source, under the same filters; the largest group first.
SELECT q.reason, q.source, count(*) AS entries, min(q.received_at) AS oldest, max(q.received_at) AS newest
FROM shop.quarantine AS q
WHERE q.resolved_at IS NULL
  AND (%(reason)s::text IS NULL OR q.reason = %(reason)s)
  AND (%(source)s::text IS NULL OR q.source = %(source)s)
  AND (%(entity)s::text IS NULL OR q.entity = %(entity)s)
  AND (%(topic)s::text IS NULL OR q.topic = %(topic)s)
  AND (%(job)s::uuid IS NULL OR q.job_id = %(job)s)
  AND (%(since)s::timestamptz IS NULL OR q.received_at >= %(since)s)
GROUP BY q.reason, q.source
ORDER BY entries DESC, q.reason, q.source
LIMIT %(limit)s
