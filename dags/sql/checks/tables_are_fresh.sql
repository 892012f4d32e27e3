-- A topic whose age cannot be told is not fresh, and neither is one of which a partition was stopped.
SELECT
    CASE WHEN bool_and(lag_seconds IS NOT NULL) THEN max(lag_seconds) END AS observed,
    count(*) > 0
    AND bool_and(
        status <> 'unknown'
        AND stopped_partitions = 0
        AND coalesce(lag_seconds <= %(max_lag_seconds)s, false)
    ) AS passed
FROM api.freshness
