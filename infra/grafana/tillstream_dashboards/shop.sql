-- name: revenue_of_a_day
-- Paid orders of the shop day that lies so many days back.
SELECT coalesce(sum(daily_revenue), 0) AS revenue
FROM api.daily_revenue(api.shop_day(now()) - {days_back}, api.shop_day(now()) - {days_back})

-- name: orders_of_today
-- How many paid orders this shop day has so far.
SELECT coalesce(sum(total_orders), 0) AS orders
FROM api.daily_revenue(api.shop_day(now()), api.shop_day(now()))

-- name: revenue_of_the_range
-- The sum of the days that are shown.
SELECT coalesce(sum(daily_revenue), 0) AS revenue
FROM api.daily_revenue(api.shop_day($__timeFrom()::timestamptz), api.shop_day($__timeTo()::timestamptz))

-- name: average_order
-- What a paid order of the range is worth.
SELECT round(sum(daily_revenue) / sum(total_orders), 2) AS average
FROM api.daily_revenue(api.shop_day($__timeFrom()::timestamptz), api.shop_day($__timeTo()::timestamptz))

-- name: revenue_by_day
-- A shop day is drawn at its midnight in UTC, and the dashboard shows UTC: so that its name is right, whatever the shop's zone.
SELECT order_day::timestamp AT TIME ZONE 'UTC' AS time, daily_revenue AS revenue
FROM api.daily_revenue(api.shop_day($__timeFrom()::timestamptz), api.shop_day($__timeTo()::timestamptz))
ORDER BY order_day

-- name: revenue_by_month
-- The same by month of the shop.
SELECT to_char(order_day, 'YYYY-MM') AS month, sum(daily_revenue) AS revenue
FROM api.daily_revenue(api.shop_day($__timeFrom()::timestamptz), api.shop_day($__timeTo()::timestamptz))
GROUP BY month
ORDER BY month

-- name: orders_by_day
-- How many orders of each status each shop day brought; the moments that surely enclose the days let an index be used.
SELECT
  api.shop_day(order_date)::timestamp AT TIME ZONE 'UTC' AS time,
  count(*) FILTER (WHERE status = 'pending') AS pending,
  count(*) FILTER (WHERE status = 'paid') AS paid,
  count(*) FILTER (WHERE status = 'shipped') AS shipped,
  count(*) FILTER (WHERE status = 'cancelled') AS cancelled
FROM api.orders
WHERE order_date >= api.surely_before(api.shop_day($__timeFrom()::timestamptz))
  AND order_date < api.surely_after(api.shop_day($__timeTo()::timestamptz))
  AND api.shop_day(order_date)
    BETWEEN api.shop_day($__timeFrom()::timestamptz) AND api.shop_day($__timeTo()::timestamptz)
GROUP BY api.shop_day(order_date)
ORDER BY api.shop_day(order_date)

-- name: orders_by_status
-- All orders of the range, paid or not, with what they amount to.
SELECT status, count(*) AS orders, sum(total_amount) AS amount
FROM api.orders
WHERE order_date >= api.surely_before(api.shop_day($__timeFrom()::timestamptz))
  AND order_date < api.surely_after(api.shop_day($__timeTo()::timestamptz))
  AND api.shop_day(order_date)
    BETWEEN api.shop_day($__timeFrom()::timestamptz) AND api.shop_day($__timeTo()::timestamptz)
GROUP BY status
ORDER BY orders DESC, status

-- name: top_products
-- What sold best in the range; its length in days is bounded as the API bounds it.
SELECT product_name, category, total_units_sold, total_revenue
FROM api.top_products(
  least(api.shop_day($__timeTo()::timestamptz) - api.shop_day($__timeFrom()::timestamptz) + 1, 3650),
  ${products},
  api.shop_day($__timeTo()::timestamptz)
)

-- name: funnel
-- Events per stage in the range.
SELECT stage, count, conversion_rate_from_previous, conversion_rate_from_start
FROM api.funnel(api.shop_day($__timeFrom()::timestamptz), api.shop_day($__timeTo()::timestamptz))

-- name: retention
-- Who signed up in the range and came back on the seventh day after; the newest hundred days.
SELECT signup_day::text AS signup_day, total_signups, returned_users, retention_percentage, complete
FROM api.retention(
  api.shop_day($__timeFrom()::timestamptz), api.shop_day($__timeTo()::timestamptz), api.shop_day(now())
)
ORDER BY signup_day DESC
LIMIT 100

-- name: complete_through
-- Everything accepted up to this moment (Unix milliseconds) is in the numbers; null where that is not known.
SELECT CASE WHEN bool_and(complete_through IS NOT NULL) THEN extract(epoch FROM min(complete_through)) * 1000 END
  AS complete_through
FROM api.freshness
WHERE topic <> 'shop.files.v1'

-- name: lag_seconds
-- How old the oldest record is that is not in the numbers yet; null where that is not known.
SELECT CASE WHEN bool_and(lag_seconds IS NOT NULL) THEN max(lag_seconds) END AS lag_seconds
FROM api.freshness
WHERE topic <> 'shop.files.v1'

-- name: waiting
-- Records that are in the log or parked, and in no number yet.
SELECT sum(waiting) AS waiting
FROM api.freshness
WHERE topic <> 'shop.files.v1'

-- name: unfinished_files
-- File jobs that are queued, running or still in the log; null where that is not known.
SELECT files AS unfinished_files FROM api.unfinished_files

-- name: open_quarantine
-- Refused records that nobody has settled.
SELECT coalesce(sum(entries), 0) AS entries FROM api.quarantine_counts

-- name: stopped_partitions
-- Partitions that the worker stopped, because too much of what they brought was refused.
SELECT sum(stopped_partitions) AS stopped FROM api.freshness

-- name: freshness_by_topic
-- Each topic by itself.
SELECT topic, status, lag_records, lag_seconds, waiting, parked, quarantined, stopped_partitions, complete_through
FROM api.freshness
ORDER BY topic

-- name: quarantine_by_reason
-- What is refused and open, without what it says.
SELECT reason, entity, sum(entries) AS entries
FROM api.quarantine_counts
GROUP BY reason, entity
ORDER BY entries DESC, reason, entity
LIMIT 50

-- name: newest_files
-- The last files that came in the range, with their statements.
SELECT file_name, status, rows, loaded, rejected, parked, rows_per_second, created_at
FROM api.jobs
WHERE $__timeFilter(created_at)
ORDER BY created_at DESC, job_id
LIMIT 20
