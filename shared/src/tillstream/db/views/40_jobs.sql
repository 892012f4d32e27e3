-- File jobs as readers see them: the statement and how fast it went, without what fences the loader. A running job shows
-- the seconds since its start.

CREATE OR REPLACE VIEW api.jobs AS
SELECT
    job_id,
    file_name,
    source,
    kind,
    status,
    sha256,
    bytes,
    rows,
    loaded,
    unchanged,
    superseded,
    duplicate,
    parked,
    rejected,
    t.seconds AS elapsed_seconds,
    round(rows / nullif(t.seconds, 0), 1) AS rows_per_second,
    error,
    created_at,
    finished_at,
    settled_at,
    duplicate_of,
    dialect ->> 'encoding' AS encoding,
    dialect ->> 'encoding_certainty' AS encoding_certainty
FROM shop.file_jobs
CROSS JOIN LATERAL (
    SELECT coalesce(
        elapsed_seconds,
        round(extract(epoch FROM coalesce(finished_at, now()) - started_at), 3)
    ) AS seconds
) AS t;

COMMENT ON VIEW api.jobs IS 'One row per dropped or uploaded file: rows = loaded + unchanged + superseded + duplicate + parked + rejected.';
