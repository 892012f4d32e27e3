-- The refused rows of file jobs that still wait for a correction.

CREATE OR REPLACE VIEW api.rejects AS
SELECT
    job_id,
    line,
    id,
    reason,
    message,
    message_id,
    version,
    payload
FROM shop.quarantine
WHERE job_id IS NOT NULL
    AND resolved_at IS NULL;

COMMENT ON VIEW api.rejects IS 'Refused rows of file jobs, with their exact bytes, that nobody has corrected yet.';

CREATE OR REPLACE VIEW api.job_forms AS
SELECT
    job_id,
    file_name,
    dialect -> 'columns' AS columns,
    dialect ->> 'separator' AS separator,
    dialect ->> 'encoding' AS encoding
FROM shop.file_jobs;

COMMENT ON VIEW api.job_forms IS 'The columns, the separator and the encoding of a job''s file, once its header was read.';
