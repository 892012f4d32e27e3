-- An empty table proves nothing. A type that is null is not among those that are allowed.
WITH counted AS (
    SELECT
        count(*) AS events,
        count(*) FILTER (
            WHERE event_type IS NULL OR event_type NOT IN ('page_view', 'add_to_cart', 'purchase')
        ) AS wrong
    FROM api.events
)
SELECT wrong AS observed, events > 0 AND wrong = 0 AS passed
FROM counted
