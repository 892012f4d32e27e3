-- name: freshness_of_topics
-- How sure an answer is that depends on these topics: the worst of them counts, and null means that it is not known.
SELECT
  CASE
    WHEN bool_or(status = 'unknown') THEN 'unknown'
    WHEN bool_or(status = 'behind') THEN 'behind'
    ELSE 'current'
  END AS status,
  CASE WHEN bool_and(complete_through IS NOT NULL) THEN min(complete_through) END AS complete_through,
  CASE WHEN bool_and(lag_seconds IS NOT NULL) THEN max(lag_seconds) END AS lag_seconds,
  CASE WHEN bool_and(lag_records IS NOT NULL) THEN sum(lag_records) END AS lag_records,
  sum(waiting) AS waiting,
  (SELECT files FROM api.unfinished_files) AS unfinished_files
FROM api.freshness
WHERE topic = ANY(%(topics)s)

-- name: freshness_by_topic
-- Every topic by itself.
SELECT
  topic, status, complete_through, lag_records, lag_seconds, last_stored_at, waiting, parked, quarantined, partitions,
  unknown_partitions
FROM api.freshness
ORDER BY topic

-- name: complete_through
-- For the metrics: through when each topic is complete. One that never was is left out.
SELECT topic, min(complete_through) AS complete_through
FROM api.partitions
GROUP BY topic
HAVING bool_and(complete_through IS NOT NULL)

-- name: stopped_partitions
-- The partitions that the worker stopped because too much of what they brought was refused.
SELECT topic, partition, stopped_at, stop_reason AS reason
FROM api.partitions
WHERE stopped_at IS NOT NULL
ORDER BY topic, partition

-- name: unfinished_files
-- How many file jobs are queued, running, or still in the log; null where that is not known.
SELECT files FROM api.unfinished_files
