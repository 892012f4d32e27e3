-- Which job's refused rows a dropped-back rejects file brought again.
CREATE TABLE shop.file_job_corrections (
  job_id UUID NOT NULL,
  corrects UUID NOT NULL,
  CONSTRAINT file_job_corrections_pkey PRIMARY KEY (job_id, corrects),
  CONSTRAINT file_job_corrections_job_id_fkey FOREIGN KEY(job_id) REFERENCES shop.file_jobs (job_id),
  CONSTRAINT file_job_corrections_corrects_fkey FOREIGN KEY(corrects) REFERENCES shop.file_jobs (job_id),
  CONSTRAINT file_job_corrections_not_itself_check CHECK (corrects <> job_id)
);
CREATE INDEX file_job_corrections_corrects_job_id_idx ON shop.file_job_corrections (corrects, job_id);

-- How often rows of a file became rejects after they had waited, and how many of these times its rejects file knows of.
ALTER TABLE shop.file_jobs
  ADD COLUMN late_rejects BIGINT DEFAULT 0 NOT NULL,
  ADD COLUMN late_rejects_written BIGINT DEFAULT 0 NOT NULL;
CREATE INDEX file_jobs_late_rejects ON shop.file_jobs (job_id) WHERE late_rejects <> late_rejects_written;

-- What became a reject that late before this release stands in no file yet.
UPDATE shop.file_jobs SET late_rejects = 1
WHERE job_id IN (SELECT job_id FROM shop.quarantine WHERE waits_for IS NOT NULL AND resolved_at IS NULL);
