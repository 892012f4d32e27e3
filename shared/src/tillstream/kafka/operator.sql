-- name: partitions
-- How far each partition is, by its fence and by what its owner measured last; lag is null where nobody measured just now.
SELECT
  topic, kafka_partition, coalesce(o.next_offset, p.next_offset) AS next_offset, p.log_end,
  CASE
    WHEN p.measured_at > now() - %(fresh_for)s THEN greatest(p.log_end - coalesce(o.next_offset, p.next_offset), 0)
  END AS lag,
  p.stopped_at, p.stop_reason
FROM shop.consumer_offsets AS o FULL JOIN shop.partition_progress AS p USING (topic, kafka_partition)
WHERE (%(topic)s::text IS NULL OR topic = %(topic)s) AND (NOT %(only_stopped)s OR p.stopped_at IS NOT NULL)
ORDER BY topic, kafka_partition
LIMIT %(limit)s

-- name: resume
-- Takes the marks off stopped partitions, of one, of a topic or of all, and writes down who did; which, and why they were
-- stopped.
WITH resumed AS (
  UPDATE shop.partition_progress
  SET stopped_at = NULL, stop_reason = NULL
  WHERE stopped_at IS NOT NULL
    AND (%(topic)s::text IS NULL OR topic = %(topic)s)
    AND (%(partition)s::smallint IS NULL OR kafka_partition = %(partition)s)
  RETURNING topic, kafka_partition, old.stopped_at AS stopped_at, old.stop_reason AS stop_reason
),
written AS (
  INSERT INTO shop.partition_decisions (topic, kafka_partition, decision, why, decided_by)
  SELECT topic, kafka_partition, 'resume', stop_reason, %(by)s FROM resumed
)
SELECT topic, kafka_partition, stopped_at, stop_reason FROM resumed

-- name: fences
-- The fence rows of a topic, and whether the session that owns one is still there. Sessions of others do not show when they
-- began, unless to whom may read it: then the pid alone counts.
SELECT
  o.topic, o.kafka_partition, o.epoch, o.next_offset, o.cluster_id, o.topic_id, o.owner,
  EXISTS (
    SELECT FROM pg_stat_activity AS a
    WHERE a.pid = o.owner_pid AND a.datname = current_database() AND a.pid <> pg_backend_pid()
      AND coalesce(a.backend_start = o.owner_backend_start, true)
  ) AS is_alive
FROM shop.consumer_offsets AS o
WHERE o.topic = %(topic)s
ORDER BY o.kafka_partition

-- name: accept
-- The log of now is the right one: go on there from the offsets given. Only where nobody took the partition over since it
-- was looked at; the new epoch shuts out whoever still believes that it owns it. Who did is written down.
WITH accepted AS (
  UPDATE shop.consumer_offsets AS o
  SET epoch = o.epoch + 1,
      next_offset = a.begin_at,
      cluster_id = %(cluster_id)s,
      topic_id = %(topic_id)s,
      last_record_id = NULL,
      last_record_at = NULL,
      owner = NULL,
      owner_pid = NULL,
      owner_backend_start = NULL,
      updated_at = now()
  FROM unnest(
    %(partitions)s::smallint[], %(epochs)s::bigint[], %(nexts)s::bigint[], %(begins)s::bigint[], %(sentences)s::text[]
  ) AS a (kafka_partition, epoch, next_offset, begin_at, sentence)
  WHERE o.topic = %(topic)s AND o.kafka_partition = a.kafka_partition AND o.epoch = a.epoch AND o.next_offset = a.next_offset
  RETURNING o.kafka_partition, a.next_offset, a.begin_at, a.sentence
)
INSERT INTO shop.partition_decisions (topic, kafka_partition, decision, from_offset, to_offset, why, decided_by)
SELECT %(topic)s, kafka_partition, 'accept', next_offset, begin_at, sentence, %(by)s FROM accepted

-- name: decisions
-- What was decided, the newest first.
SELECT decided_at, decided_by, topic, kafka_partition, decision, from_offset, to_offset, why
FROM shop.partition_decisions
WHERE %(topic)s::text IS NULL OR topic = %(topic)s
ORDER BY id DESC
LIMIT %(limit)s
