-- name: users
-- Which of these users are missing. One by one: a plan is kept, and must not read the whole table.
SELECT i.id
FROM unnest(%(ids)s::bigint[]) AS i (id)
LEFT JOIN LATERAL (SELECT true AS is_there FROM shop.users WHERE user_id = i.id LIMIT 1) AS u ON true
WHERE u.is_there IS NULL

-- name: products
-- The same of products.
SELECT i.id
FROM unnest(%(ids)s::bigint[]) AS i (id)
LEFT JOIN LATERAL (SELECT true AS is_there FROM shop.products WHERE product_id = i.id LIMIT 1) AS p ON true
WHERE p.is_there IS NULL
