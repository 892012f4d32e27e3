-- The oldest queued job of each kind and source, without a look at all the others: 60,000 files may wait at once.
CREATE INDEX file_jobs_queue ON shop.file_jobs (coalesce(kind, ''), source, claimed_at, job_id) WHERE status = 'queued';
