-- name: park
-- A single item waits for its order, then for its product.
UPDATE incoming AS i SET
  outcome = 'parked',
  waits_for = CASE WHEN o.order_id IS NULL THEN 'order' ELSE 'product' END,
  waits_key = CASE WHEN o.order_id IS NULL THEN j.parent_key ELSE j.product_id END
FROM incoming AS j
LEFT JOIN shop.orders AS o ON o.order_id = j.parent_key
LEFT JOIN shop.products AS p ON p.product_id = j.product_id
WHERE i.ord = j.ord AND i.active AND i.entity = 'order_item' AND i.outcome IS NULL
  AND (o.order_id IS NULL OR p.product_id IS NULL)

-- name: upsert
-- A single item counts only if it is newer than its own row and than the order's newest set.
WITH winners AS (
  SELECT DISTINCT ON (i.parent_key, i.key)
    i.parent_key AS order_id, i.key AS order_item_id, i.product_id, i.quantity, i.unit_price, i.version
  FROM incoming AS i JOIN shop.orders AS o ON o.order_id = i.parent_key
  WHERE i.active AND i.entity = 'order_item' AND i.outcome IS NULL
    AND (o.items_version IS NULL OR i.version > o.items_version)
  ORDER BY i.parent_key, i.key, i.version DESC
),
applied AS (
  INSERT INTO shop.order_items AS t (order_id, order_item_id, product_id, quantity, unit_price, version)
  SELECT order_id, order_item_id, product_id, quantity, unit_price, version
  FROM winners ORDER BY order_id, order_item_id
  ON CONFLICT (order_id, order_item_id) DO UPDATE SET
    product_id = excluded.product_id, quantity = excluded.quantity, unit_price = excluded.unit_price,
    version = excluded.version, stored_at = now()
  WHERE excluded.version > t.version
  RETURNING new.order_id, new.order_item_id, new.version AS version,
    (old.product_id, old.quantity, old.unit_price) IS NOT DISTINCT FROM (new.product_id, new.quantity, new.unit_price)
      AS is_same
)
UPDATE incoming AS i SET
  outcome = CASE WHEN a.version IS NULL THEN 'superseded' WHEN a.is_same THEN 'unchanged' ELSE 'stored' END
FROM incoming AS j
LEFT JOIN applied AS a ON a.order_id = j.parent_key AND a.order_item_id = j.key AND a.version = j.version
WHERE i.ord = j.ord AND i.active AND i.entity = 'order_item' AND i.outcome IS NULL
