-- name: receipt
-- What became of a message: the strongest of the places that know it.
SELECT
  r.status, r.entity, r.reason, r.message, r.source, r.topic, r.partition, r."offset", r.job_id, j.file_name, r.line,
  r.waits_for, r.waits_key, r.accepted_at, r.decided_at, r.resolved_at
FROM api.receipts AS r
LEFT JOIN api.jobs AS j USING (job_id)
WHERE r.message_id = %(message_id)s
ORDER BY r.precedence, r.decided_at DESC
LIMIT 1
