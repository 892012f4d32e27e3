-- Revenue and number of paid orders by shop day, all days, newest first; a day without a paid order has no row.
SELECT order_day, daily_revenue, total_orders
FROM api.daily_revenue(DATE '1999-12-31', api.shop_day(now()) + 2)
