-- name: quarantine_page
-- A page of open entries, newest first, each with the beginning of its bytes. Null for a filter means all.
SELECT
  id, reason, message, source, received_at, substring(payload FROM 1 FOR %(max_bytes)s) AS payload,
  octet_length(payload) AS payload_bytes, entity, field, message_id, topic, partition, "offset", job_id, line, accepted_at
FROM api.quarantine
WHERE (%(reason)s::text IS NULL OR reason = %(reason)s)
  AND (%(source)s::text IS NULL OR source = %(source)s)
  AND (%(after_id)s::bigint IS NULL OR id < %(after_id)s)
ORDER BY id DESC
LIMIT %(limit)s

-- name: quarantine_counts
-- How many open entries there are for each reason, under the same filters as the page.
SELECT reason, sum(entries) AS entries
FROM api.quarantine_counts
WHERE (%(reason)s::text IS NULL OR reason = %(reason)s)
  AND (%(source)s::text IS NULL OR source = %(source)s)
GROUP BY reason
ORDER BY reason
