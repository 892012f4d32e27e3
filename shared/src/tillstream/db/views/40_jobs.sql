-- File jobs as readers see them: the statement and how fast it went, without what fences the loader. A running job shows
-- the seconds since its start, how much of its bytes is done, and how long the rest takes at that pace. `corrects` and
-- `corrected_by` name the first hundred jobs each.

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
    dialect ->> 'encoding_certainty' AS encoding_certainty,
    round(100 * d.share, 1) AS percent,
    CASE
        -- The header alone tells nothing of the pace.
        WHEN status = 'running' AND rows > 0 AND d.share > 0 THEN round(t.seconds * (1 - d.share) / d.share)
    END AS eta_seconds,
    ARRAY(
        SELECT c.corrects FROM shop.file_job_corrections AS c WHERE c.job_id = j.job_id ORDER BY c.corrects LIMIT 100
    ) AS corrects,
    ARRAY(
        SELECT c.job_id FROM shop.file_job_corrections AS c WHERE c.corrects = j.job_id ORDER BY c.job_id LIMIT 100
    ) AS corrected_by
FROM shop.file_jobs AS j
CROSS JOIN LATERAL (
    SELECT coalesce(
        elapsed_seconds,
        round(extract(epoch FROM coalesce(finished_at, now()) - started_at), 3)
    ) AS seconds
) AS t
CROSS JOIN LATERAL (
    -- Of a packed file, what it holds is counted, not what lies on the disk. Null until it is known what the file is.
    SELECT CASE
        WHEN kind IS NOT NULL
            THEN least(next_byte / nullif(coalesce((dialect ->> 'text_bytes')::numeric, bytes::numeric), 0), 1)
    END AS share
) AS d;

COMMENT ON VIEW api.jobs IS 'One row per dropped or uploaded file: rows = loaded + unchanged + superseded + duplicate + parked + rejected.';
