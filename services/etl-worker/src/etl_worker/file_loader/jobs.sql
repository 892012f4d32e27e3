-- name: queue
-- Remember a file job; one that is known stays as it is.
INSERT INTO shop.file_jobs (
  job_id, file_name, source, kind, status, bytes, as_of, claimed_at, declared_encoding
)
VALUES (
  %(job_id)s, %(file_name)s, %(source)s, %(kind)s, 'queued', %(bytes)s, %(as_of)s, %(claimed_at)s,
  %(declared_encoding)s
)
ON CONFLICT (job_id) DO NOTHING

-- name: refuse
-- Remember a file that nobody opened; one that is known stays as it is.
INSERT INTO shop.file_jobs (
  job_id, file_name, source, status, bytes, claimed_at, error, finished_at, settled_at, elapsed_seconds
)
VALUES (
  %(job_id)s, %(file_name)s, %(source)s, 'failed', %(bytes)s, %(claimed_at)s, %(error)s, now(), now(), 0
)
ON CONFLICT (job_id) DO NOTHING

-- name: keep_unreadable
-- Keep a record that is no file job.
INSERT INTO shop.quarantine (
  message_id, content_hash, entity, reason, field, message, version, payload, source, topic, kafka_partition,
  kafka_offset, accepted_at
) VALUES (
  %(message_id)s, %(content_hash)s, 'file', %(reason)s, %(field)s, %(message)s, %(version)s, %(payload)s, %(source)s,
  %(topic)s, %(partition)s, %(offset)s, %(accepted_at)s
)
ON CONFLICT (message_id, content_hash) DO NOTHING

-- name: running
-- The jobs that somebody runs, or ran before it died, and under which lease.
SELECT job_id, lease_epoch FROM shop.file_jobs WHERE status = 'running'

-- name: candidate
-- The job to run next, by kind and then in the order of claims: a queued one, once the oldest queued one has waited long
-- enough for its siblings, while none of a parent's kind is queued or running, and none of its own source and kind runs;
-- or a running one whose owner is gone, or is this connection, or is to be ended (`inherited`): that lease, and none that
-- somebody took after it.
-- Of all that is queued only the first job of each kind and source is looked at, by a walk along the index.
WITH RECURSIVE heads AS (
  (
    SELECT f AS job FROM shop.file_jobs AS f
    WHERE f.status = 'queued'
    ORDER BY coalesce(f.kind, ''), f.source, f.claimed_at, f.job_id
    LIMIT 1
  )
  UNION ALL
  SELECT n.job
  FROM heads AS h CROSS JOIN LATERAL (
    SELECT f AS job FROM shop.file_jobs AS f
    WHERE f.status = 'queued' AND (coalesce(f.kind, ''), f.source) > (coalesce((h.job).kind, ''), (h.job).source)
    ORDER BY coalesce(f.kind, ''), f.source, f.claimed_at, f.job_id
    LIMIT 1
  ) AS n
), under_way AS (
  SELECT (job).* FROM heads
  UNION ALL
  SELECT * FROM shop.file_jobs WHERE status = 'running'
), too_early AS (
  SELECT d.child
  FROM unnest(%(children)s::text[], %(parents)s::text[]) AS d (child, parent) JOIN under_way AS u ON u.kind = d.parent
)
SELECT j.job_id, j.lease_epoch, a.pid, a.backend_start
FROM under_way AS j
LEFT JOIN pg_stat_activity AS a ON a.pid = j.lease_pid AND a.backend_start = j.lease_backend_start
WHERE j.status = 'queued' AND (
    SELECT min(q.created_at) FROM shop.file_jobs AS q WHERE q.status = 'queued'
  ) <= now() - %(settle)s::interval
  AND NOT EXISTS (SELECT FROM too_early AS t WHERE t.child = j.kind)
  AND NOT EXISTS (SELECT FROM under_way AS u WHERE u.status = 'running' AND u.source = j.source AND u.kind = j.kind)
  OR j.status = 'running' AND (
    a.pid IS NULL OR a.pid = pg_backend_pid()
    OR (j.job_id, j.lease_epoch) IN (SELECT * FROM unnest(%(inherited)s::uuid[], %(inherited_epochs)s::bigint[]))
  )
ORDER BY array_position(%(kinds)s::text[], j.kind) NULLS LAST, j.claimed_at, j.job_id
LIMIT 1

-- name: take
-- Own a job: a new epoch, with this connection as its owner. No row: somebody else was quicker.
UPDATE shop.file_jobs SET
  status = 'running',
  lease_epoch = lease_epoch + 1,
  lease_pid = %(pid)s,
  lease_backend_start = %(began)s,
  started_at = coalesce(started_at, now())
WHERE job_id = %(job_id)s AND lease_epoch = %(lease_epoch)s AND status IN ('queued', 'running')
RETURNING
  job_id, file_name, source, kind, status, sha256, bytes, as_of, claimed_at, lease_epoch, next_byte, next_line, dialect,
  rows, rejected, declared_encoding

-- name: identify
-- What the file is: found out before its first chunk, and the same on every later attempt.
UPDATE shop.file_jobs SET
  kind = %(kind)s, sha256 = %(sha256)s, bytes = %(bytes)s, dialect = %(dialect)s, next_byte = %(next_byte)s,
  next_line = %(next_line)s, elapsed_seconds = coalesce(elapsed_seconds, 0) + %(seconds)s
WHERE job_id = %(job_id)s AND lease_epoch = %(lease_epoch)s AND next_byte = %(from_byte)s

-- name: keys_taken
-- Which of these keys an earlier row of this job has. What broke its contract is not in `changes` and takes no key.
SELECT DISTINCT key FROM shop.changes
WHERE job_id = %(job_id)s AND entity = %(entity)s AND key = ANY(%(keys)s)

-- name: first_attempts
-- What refused rows were when they came first.
SELECT DISTINCT message_id, version, entity, source FROM shop.quarantine WHERE message_id = ANY(%(message_ids)s)

-- name: refused_in
-- Whose rejects these are: of each first attempt the job in which it is open, or else that of its newest entry.
SELECT DISTINCT job_id FROM (
  SELECT DISTINCT ON (message_id, version) job_id
  FROM shop.quarantine
  WHERE (message_id, version) IN (SELECT * FROM unnest(%(message_ids)s::uuid[], %(versions)s::bytea[]))
  ORDER BY message_id, version, resolved_at IS NOT NULL, id DESC
) AS newest
WHERE job_id <> %(job_id)s

-- name: link
-- A job brought rows again that others had refused. May be repeated.
INSERT INTO shop.file_job_corrections (job_id, corrects)
SELECT %(job_id)s, job_id FROM shop.file_jobs WHERE job_id = ANY(%(corrects)s) ORDER BY job_id
ON CONFLICT DO NOTHING

-- name: adopt
-- What was refused with the same content before is kept once, and belongs to the newest file now. There it is open, also
-- when it was corrected in between: the statement counts it, and whoever asks for the rejects must find it.
UPDATE shop.quarantine AS q SET job_id = %(job_id)s, line = n.line, resolved_at = NULL, resolution = NULL
FROM unnest(%(message_ids)s::uuid[], %(hashes)s::bytea[], %(lines)s::bigint[]) AS n (message_id, content_hash, line)
WHERE q.message_id = n.message_id AND q.content_hash = n.content_hash AND q.job_id IS DISTINCT FROM %(job_id)s

-- name: close
-- Events that were corrected to another id: the entries under their first id are settled.
UPDATE shop.quarantine AS q SET resolved_at = now(), resolution = 'corrected'
FROM unnest(%(message_ids)s::uuid[], %(versions)s::bytea[]) AS n (message_id, version)
WHERE q.message_id = n.message_id AND q.version = n.version AND q.resolved_at IS NULL

-- name: advance
-- Move past a chunk, in its own transaction: only for whoever still owns the job and began where it stands.
UPDATE shop.file_jobs SET
  next_byte = %(next_byte)s,
  next_line = %(next_line)s,
  rows = rows + %(rows)s,
  loaded = loaded + %(stored)s,
  unchanged = unchanged + %(unchanged)s,
  superseded = superseded + %(superseded)s,
  duplicate = duplicate + %(duplicate)s,
  parked = parked + %(parked)s,
  rejected = rejected + %(quarantined)s,
  elapsed_seconds = coalesce(elapsed_seconds, 0) + %(seconds)s
WHERE job_id = %(job_id)s AND lease_epoch = %(lease_epoch)s AND next_byte = %(from_byte)s

-- name: newest_like_this
-- The newest ended job of the same source and kind that had an effect; `stated` is the moment of its rows.
-- In this order NULL comes first: unless told otherwise, PostgreSQL goes past all that are queued to the newest that ended.
SELECT
  job_id, sha256, dialect ->> 'encoding' AS encoding, status, rejected, settled_at IS NOT NULL AS is_settled,
  coalesce(as_of, claimed_at) AS stated
FROM shop.file_jobs
WHERE source = %(source)s AND kind = %(kind)s AND job_id <> %(job_id)s
  AND status IN ('loaded', 'loaded_with_rejects', 'failed') AND finished_at IS NOT NULL
ORDER BY finished_at DESC
LIMIT 1

-- name: finish
-- The end of a job; settled it is once nothing of it waits.
UPDATE shop.file_jobs SET
  status = CASE WHEN %(status)s::text = 'loaded' AND rejected > 0 THEN 'loaded_with_rejects' ELSE %(status)s::text END,
  error = %(error)s,
  duplicate_of = %(duplicate_of)s,
  sha256 = coalesce(%(sha256)s, sha256),
  bytes = coalesce(%(bytes)s, bytes),
  rows = rows + %(lines)s,
  loaded = loaded + %(lines)s,
  finished_at = now(),
  settled_at = CASE WHEN parked = 0 THEN now() END,
  elapsed_seconds = coalesce(elapsed_seconds, 0) + %(seconds)s
WHERE job_id = %(job_id)s AND lease_epoch = %(lease_epoch)s
RETURNING status, rows, loaded, unchanged, superseded, duplicate, parked, rejected, elapsed_seconds

-- name: rejects
-- The refused rows of a job in the order of its file, from a place on: all, or those that are still open.
SELECT id, line, reason, message, message_id, version, payload
FROM shop.quarantine
WHERE job_id = %(job_id)s AND (line, id) > (%(after_line)s, %(after_id)s) AND (resolved_at IS NULL OR NOT %(only_open)s)
ORDER BY line, id
LIMIT %(limit)s

-- name: stream
-- Records that wait in the shop's topics, where partitions that nobody measures, or that are stopped, say nothing; and how
-- many were handled ever, to see whether it grows.
SELECT
  coalesce(sum(greatest(log_end - next_offset, 0)) FILTER (
    WHERE stopped_at IS NULL AND measured_at > now() - interval '10 seconds'
  ), 0)::bigint AS lag,
  coalesce(sum(next_offset), 0)::bigint AS position
FROM shop.partition_progress
WHERE topic <> %(files_topic)s

-- name: states
-- How many jobs wait and run, and how many seconds ago the first of them was claimed.
SELECT status, count(*), greatest(0, extract(epoch FROM now() - min(claimed_at)))
FROM shop.file_jobs WHERE status IN ('queued', 'running') GROUP BY status
