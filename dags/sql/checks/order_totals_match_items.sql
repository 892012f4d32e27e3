-- Orders without items are legal and left out; so are shipping and discounts, which is why this only warns.
WITH sums AS (
    SELECT order_id, sum(quantity * unit_price) AS of_items
    FROM api.order_items
    GROUP BY order_id
)
SELECT
    count(*) FILTER (WHERE o.total_amount <> s.of_items) AS observed,
    count(*) FILTER (WHERE o.total_amount <> s.of_items) = 0 AS passed
FROM api.orders AS o
JOIN sums AS s USING (order_id)
