-- The rows of the export, in the order of the API: newest day first.
SELECT order_day, daily_revenue, total_orders
FROM reports.daily_revenue
ORDER BY order_day DESC
