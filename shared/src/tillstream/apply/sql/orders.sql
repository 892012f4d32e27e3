-- name: lock
-- Sets of items and single items of one order take turns; all order rows are locked in one sorted sweep.
SELECT count(*) FROM (
  SELECT order_id FROM shop.orders
  WHERE order_id IN (
    SELECT CASE entity WHEN 'order' THEN key ELSE parent_key END
    FROM incoming WHERE active AND entity IN ('order', 'order_item')
  )
  ORDER BY order_id
  FOR NO KEY UPDATE
) AS locked

-- name: park
-- An order waits for its user, then for the first product that its items lack.
WITH missing_products AS (
  SELECT n.ord, min(n.product_id) AS product_id
  FROM incoming_items AS n LEFT JOIN shop.products AS p USING (product_id)
  WHERE p.product_id IS NULL
  GROUP BY n.ord
)
UPDATE incoming AS i SET
  outcome = 'parked',
  waits_for = CASE WHEN u.user_id IS NULL THEN 'user' ELSE 'product' END,
  waits_key = CASE WHEN u.user_id IS NULL THEN j.user_id ELSE m.product_id END
FROM incoming AS j
LEFT JOIN shop.users AS u ON u.user_id = j.user_id
LEFT JOIN missing_products AS m ON m.ord = j.ord
WHERE i.ord = j.ord AND i.active AND i.entity = 'order' AND i.outcome IS NULL
  AND (u.user_id IS NULL OR m.product_id IS NOT NULL)

-- name: upsert
-- The newest fields and the newest set of items may come from two messages: each is compared with its own version.
WITH candidates AS (
  SELECT * FROM incoming WHERE active AND entity = 'order' AND outcome IS NULL
),
fields AS (
  SELECT DISTINCT ON (key) key, user_id, order_date, status, total_amount, version
  FROM candidates ORDER BY key, version DESC
),
sets AS (
  SELECT key, max(version) AS version FROM candidates WHERE has_items GROUP BY key
),
applied AS (
  INSERT INTO shop.orders AS o (order_id, user_id, order_date, status, total_amount, version, items_version)
  SELECT f.key, f.user_id, f.order_date, f.status, f.total_amount, f.version, s.version
  FROM fields AS f LEFT JOIN sets AS s USING (key)
  ORDER BY f.key
  ON CONFLICT (order_id) DO UPDATE SET
    (user_id, order_date, status, total_amount, version) = (
      SELECT excluded.user_id, excluded.order_date, excluded.status, excluded.total_amount, excluded.version
      WHERE excluded.version > o.version
      UNION ALL
      SELECT o.user_id, o.order_date, o.status, o.total_amount, o.version
      WHERE excluded.version <= o.version
    ),
    items_version = CASE
      WHEN o.items_version IS NULL OR excluded.items_version > o.items_version THEN excluded.items_version
      ELSE o.items_version
    END,
    stored_at = now()
  WHERE excluded.version > o.version
    OR (excluded.items_version IS NOT NULL
      AND (o.items_version IS NULL OR excluded.items_version > o.items_version))
  RETURNING new.order_id AS key, new.version AS version, new.items_version AS items_version,
    old.version IS DISTINCT FROM new.version AS took_fields,
    old.items_version IS DISTINCT FROM new.items_version AS took_items,
    (old.user_id, old.order_date, old.status, old.total_amount)
      IS NOT DISTINCT FROM (new.user_id, new.order_date, new.status, new.total_amount) AS is_same
)
UPDATE incoming AS i SET
  outcome = CASE
    WHEN a.took_items AND a.items_version = i.version THEN 'stored'
    WHEN a.took_fields AND a.version = i.version THEN CASE WHEN a.is_same THEN 'unchanged' ELSE 'stored' END
    ELSE 'superseded'
  END
FROM candidates AS j LEFT JOIN applied AS a USING (key)
WHERE i.ord = j.ord

-- name: apply_sets
-- The set that an order just took: older items that are not in it go, the rest is written where it is newer.
WITH sets AS (
  SELECT i.ord, i.key AS order_id, i.version
  FROM incoming AS i JOIN shop.orders AS o ON o.order_id = i.key AND o.items_version = i.version
  WHERE i.active AND i.entity = 'order' AND i.has_items AND i.outcome = 'stored'
),
removed AS (
  DELETE FROM shop.order_items AS t
  USING sets AS s
  WHERE t.order_id = s.order_id AND t.version < s.version AND NOT EXISTS (
    SELECT 1 FROM incoming_items AS n WHERE n.ord = s.ord AND n.order_item_id = t.order_item_id
  )
  RETURNING t.order_id
),
written AS (
  INSERT INTO shop.order_items AS t (order_id, order_item_id, product_id, quantity, unit_price, version)
  SELECT s.order_id, n.order_item_id, n.product_id, n.quantity, n.unit_price, s.version
  FROM sets AS s JOIN incoming_items AS n USING (ord)
  ORDER BY s.order_id, n.order_item_id
  ON CONFLICT (order_id, order_item_id) DO UPDATE SET
    product_id = excluded.product_id, quantity = excluded.quantity, unit_price = excluded.unit_price,
    version = excluded.version, stored_at = now()
  WHERE excluded.version > t.version
  RETURNING new.order_id
)
SELECT (SELECT count(*) FROM removed), (SELECT count(*) FROM written)
