-- An empty table proves nothing, and neither does an amount that is not there.
WITH counted AS (
    SELECT count(*) AS orders, count(*) FILTER (WHERE total_amount IS NULL OR total_amount < 0) AS wrong
    FROM api.orders
)
SELECT wrong AS observed, orders > 0 AND wrong = 0 AS passed
FROM counted
