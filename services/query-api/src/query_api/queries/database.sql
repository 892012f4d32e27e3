-- name: shop_timezone
-- The zone with which the database was made.
SELECT value FROM api.settings WHERE key = 'shop_timezone'

-- name: alive
-- Whether questions are answered at all.
SELECT 1 AS one
