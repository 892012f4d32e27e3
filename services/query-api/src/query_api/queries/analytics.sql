-- name: shop_day
-- The day of the shop to which a moment belongs.
SELECT api.shop_day(%(moment)s) AS day

-- name: daily_revenue
-- Sum and number of paid orders per shop day, newest day first, both ends included.
SELECT order_day, daily_revenue, total_orders
FROM api.daily_revenue(%(first_day)s, %(last_day)s)

-- name: top_products
-- What earned most in the paid orders of the last `days` shop days up to and including `as_of`.
SELECT product_id, product_name, category, total_units_sold, total_revenue
FROM api.top_products(%(days)s, %(limit)s, %(as_of)s)

-- name: retention
-- Signups per shop day and who of them did something seven days later, newest day first.
SELECT signup_day, total_signups, returned_users, retention_percentage, complete
FROM api.retention(%(first_day)s, %(last_day)s, %(today)s)

-- name: funnel
-- Events per stage, from the first to the last; a null end of the range means "without end".
SELECT stage, count, conversion_rate_from_previous, conversion_rate_from_start
FROM api.funnel(%(first_day)s, %(last_day)s)
