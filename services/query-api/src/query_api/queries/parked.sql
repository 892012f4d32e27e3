-- name: parked_page
-- A page of what waits, by the parent that it waits for. Null for a filter means all. One index has the rows of a parent in this order.
SELECT
  message_id, entity, waits_for, waits_key, source, topic, partition, "offset", job_id, line, accepted_at, parked_at, expires_at
FROM api.parked
WHERE (%(waits_for)s::text IS NULL OR waits_for = %(waits_for)s)
  AND (%(parent_id)s::bigint IS NULL OR waits_key = %(parent_id)s)
  AND (%(source)s::text IS NULL OR source = %(source)s)
  AND (%(after_entity)s::text IS NULL
    OR (waits_for, waits_key, message_id) > (%(after_entity)s, %(after_key)s::bigint, %(after_id)s::uuid))
ORDER BY waits_for, waits_key, message_id
LIMIT %(limit)s

-- name: missing_parents
-- The parents that the most changes wait for, under the same filters as the page. There may be as many as there are changes: hence the bound.
SELECT waits_for, waits_key, count(*) AS waiting, min(parked_at) AS since
FROM api.parked
WHERE (%(waits_for)s::text IS NULL OR waits_for = %(waits_for)s)
  AND (%(parent_id)s::bigint IS NULL OR waits_key = %(parent_id)s)
  AND (%(source)s::text IS NULL OR source = %(source)s)
GROUP BY waits_for, waits_key
ORDER BY waiting DESC, since, waits_for, waits_key
LIMIT %(max_parents)s
