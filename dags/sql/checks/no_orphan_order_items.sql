-- An orphan has no order, or no product. An empty table proves nothing.
WITH counted AS (
    SELECT
        count(*) AS items,
        count(*) FILTER (WHERE o.order_id IS NULL OR p.product_id IS NULL) AS orphans
    FROM api.order_items AS i
    LEFT JOIN api.orders AS o USING (order_id)
    LEFT JOIN api.products AS p USING (product_id)
)
SELECT orphans AS observed, items > 0 AND orphans = 0 AS passed
FROM counted
