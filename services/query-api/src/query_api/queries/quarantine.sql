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
-- How many open entries there are for each reason (source null), and for each reason within the sources that have the most,
-- under the same filters as the page. Sources are whatever clients called themselves: without a bound there could be millions.
WITH counted AS (
  SELECT source, reason, sum(entries) AS entries
  FROM api.quarantine_counts
  WHERE (%(reason)s::text IS NULL OR reason = %(reason)s)
    AND (%(source)s::text IS NULL OR source = %(source)s)
  GROUP BY source, reason
),
largest AS (
  SELECT source, row_number() OVER (ORDER BY sum(entries) DESC, source) AS place
  FROM counted
  GROUP BY source
  ORDER BY place
  LIMIT %(max_sources)s
)
SELECT NULL AS source, reason, sum(entries) AS entries, 0 AS place FROM counted GROUP BY reason
UNION ALL
SELECT source, reason, entries, place FROM counted JOIN largest USING (source)
ORDER BY place, reason
