-- What each category sold in paid orders, by month of the shop; revenue is quantity times unit price.
SELECT
    date_trunc('month', api.shop_day(o.order_date)::timestamp)::date AS order_month,
    p.category,
    sum(i.quantity) AS units_sold,
    sum(i.quantity * i.unit_price) AS revenue,
    count(DISTINCT o.order_id) AS orders
FROM api.orders AS o
JOIN api.order_items AS i USING (order_id)
JOIN api.products AS p USING (product_id)
WHERE o.status = 'paid'
GROUP BY order_month, p.category
