-- name: jobs_page
-- A page of file jobs, newest first. Null for a filter means all, null for the key means the first page.
SELECT
  job_id, file_name, source, kind, status, sha256, bytes, rows, loaded, unchanged, superseded, duplicate, parked, rejected,
  elapsed_seconds, rows_per_second, error, created_at, finished_at, settled_at, duplicate_of, encoding,
  encoding_certainty, percent, eta_seconds, corrects, corrected_by
FROM api.jobs
WHERE (%(file_name)s::text IS NULL OR file_name = %(file_name)s)
  AND (%(source)s::text IS NULL OR source = %(source)s)
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(after_created_at)s::timestamptz IS NULL OR (created_at, job_id) < (%(after_created_at)s, %(after_id)s))
ORDER BY created_at DESC, job_id DESC
LIMIT %(limit)s

-- name: job
-- One file job.
SELECT
  job_id, file_name, source, kind, status, sha256, bytes, rows, loaded, unchanged, superseded, duplicate, parked, rejected,
  elapsed_seconds, rows_per_second, error, created_at, finished_at, settled_at, duplicate_of, encoding,
  encoding_certainty, percent, eta_seconds, corrects, corrected_by
FROM api.jobs
WHERE job_id = %(job_id)s

-- name: job_form
-- How the rows of a job's file are to be read.
SELECT file_name, columns, separator, encoding
FROM api.job_forms
WHERE job_id = %(job_id)s

-- name: rejects_page
-- The refused rows of a job that nobody has corrected yet, in the file's order, from a place on.
SELECT id, line, reason, message, message_id, version, payload
FROM api.rejects
WHERE job_id = %(job_id)s AND (line, id) > (%(after_line)s, %(after_id)s)
ORDER BY line, id
LIMIT %(limit)s
