-- Held against what the newest measurement of another run saw, so that a growth raises one alarm and not one every night.
-- The first run has nothing to hold it against.
WITH quarantined AS (
    SELECT coalesce(sum(entries), 0) AS entries
    FROM api.quarantine_counts
),
before AS (
    SELECT observed AS entries
    FROM reports.quality_results
    WHERE check_name = 'quarantine_not_growing' AND run_id <> %(run_id)s
    ORDER BY measured_at DESC
    LIMIT 1
)
SELECT
    q.entries AS observed,
    q.entries <= coalesce(b.entries, q.entries) + %(max_new_quarantined)s AS passed
FROM quarantined AS q
LEFT JOIN before AS b ON true
