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
