-- name: changes
-- What became of these ids so far.
SELECT message_id, entity, outcome, content_hash FROM shop.changes WHERE message_id = ANY(%(ids)s)

-- name: events
-- The same for events, which keep it in their rows.
SELECT event_id, user_id, event_type, product_id, event_timestamp FROM shop.events WHERE event_id = ANY(%(ids)s)

-- name: parked
-- What waits under these ids.
SELECT message_id, content_hash FROM shop.parked WHERE message_id = ANY(%(ids)s)

-- name: rows
-- Which of these parents and targets are there, and in which version; of an order also that of its set of items.
SELECT 'user', user_id, version, NULL::bytea FROM shop.users WHERE user_id = ANY(%(user)s)
UNION ALL
SELECT 'product', product_id, version, NULL::bytea FROM shop.products WHERE product_id = ANY(%(product)s)
UNION ALL
SELECT 'order', order_id, version, items_version FROM shop.orders WHERE order_id = ANY(%(order)s)

-- name: items
-- The versions of single items.
SELECT i.order_id, i.order_item_id, i.version
FROM unnest(%(orders)s::bigint[], %(items)s::bigint[]) AS w (order_id, order_item_id)
JOIN shop.order_items AS i USING (order_id, order_item_id)

-- name: addresses
-- Who holds these e-mail addresses. An operator may ask for those that a wish names, and not read the column.
SELECT email, user_id FROM shop.holders_of_emails(%(emails)s::text[])
