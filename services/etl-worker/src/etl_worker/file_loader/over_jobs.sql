-- name: ended
-- Which of these jobs are over, and how.
SELECT job_id, file_name, status, sha256 FROM shop.file_jobs
WHERE job_id = ANY(%(job_ids)s) AND status NOT IN ('queued', 'running')

-- name: late_rejects
-- Settled jobs whose rejects file lacks rows that became rejects after they had waited, longest settled first.
SELECT job_id, file_name, claimed_at, dialect, late_rejects
FROM shop.file_jobs
WHERE late_rejects <> late_rejects_written AND settled_at IS NOT NULL
ORDER BY settled_at, job_id
LIMIT %(limit)s

-- name: late_rejects_written
-- The rejects file is as new as this count. Not only upwards: whoever was slower and wrote an older one says so by it.
UPDATE shop.file_jobs SET late_rejects_written = %(late_rejects)s WHERE job_id = %(job_id)s

-- name: begin_tidying
-- One process at a time tidies, or none: two that write one file would spoil it.
SELECT pg_try_advisory_lock(7305112027)

-- name: end_tidying
-- The other one's turn.
SELECT pg_advisory_unlock(7305112027)

-- name: over
-- Those of these jobs that are over and settled and whose rejects file is complete: since when (by the database's clock),
-- and since when the newest entry is there that is open in quarantine.
SELECT
  j.job_id, j.file_name, j.status,
  now() - greatest(j.finished_at, j.settled_at) AS settled_for,
  now() - (
    SELECT max(q.received_at) FROM shop.quarantine AS q
    WHERE %(with_open)s AND q.job_id = j.job_id AND q.resolved_at IS NULL
  ) AS open_for
FROM shop.file_jobs AS j
WHERE j.job_id = ANY(%(job_ids)s)
  AND j.status NOT IN ('queued', 'running') AND j.finished_at IS NOT NULL AND j.settled_at IS NOT NULL
  AND j.late_rejects = j.late_rejects_written
  AND greatest(j.finished_at, j.settled_at) <= now() - %(at_least)s::interval
