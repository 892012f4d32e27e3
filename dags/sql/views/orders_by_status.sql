-- Number and amount of orders by shop day and status.
SELECT
    api.shop_day(order_date) AS order_day,
    status,
    count(*) AS orders,
    sum(total_amount) AS amount
FROM api.orders
GROUP BY order_day, status
