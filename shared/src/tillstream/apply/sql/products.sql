-- name: upsert
-- The newest change of each product, where it is newer than the row.
WITH winners AS (
  SELECT DISTINCT ON (key) key, product_name, category, price, version
  FROM incoming WHERE active AND entity = 'product' AND outcome IS NULL
  ORDER BY key, version DESC
),
applied AS (
  INSERT INTO shop.products AS p (product_id, product_name, category, price, version)
  SELECT key, product_name, category, price, version FROM winners ORDER BY key
  ON CONFLICT (product_id) DO UPDATE SET
    product_name = excluded.product_name, category = excluded.category, price = excluded.price,
    version = excluded.version, stored_at = now()
  WHERE excluded.version > p.version
  RETURNING new.product_id AS key, new.version AS version,
    (old.product_name, old.category, old.price) IS NOT DISTINCT FROM (new.product_name, new.category, new.price)
      AS is_same
)
UPDATE incoming AS i SET
  outcome = CASE WHEN a.version IS NULL THEN 'superseded' WHEN a.is_same THEN 'unchanged' ELSE 'stored' END
FROM incoming AS j LEFT JOIN applied AS a ON a.key = j.key AND a.version = j.version
WHERE i.ord = j.ord AND i.active AND i.entity = 'product' AND i.outcome IS NULL
