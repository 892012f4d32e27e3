-- name: orders_page
-- A page of orders, newest first. Null for `user_id` means everybody, null for the key means the first page.
SELECT order_id, order_date, status, total_amount, items::text AS items
FROM api.orders
WHERE (%(user_id)s::bigint IS NULL OR user_id = %(user_id)s)
  AND (%(after_date)s::timestamptz IS NULL OR (order_date, order_id) < (%(after_date)s, %(after_id)s))
ORDER BY order_date DESC, order_id DESC
LIMIT %(limit)s

-- name: order
-- One order.
SELECT order_id, order_date, status, total_amount, items::text AS items
FROM api.orders
WHERE order_id = %(order_id)s
