-- Orders with their items as a JSON array, in the order of their item ids.

CREATE OR REPLACE VIEW api.orders AS
SELECT
    o.order_id,
    o.user_id,
    o.order_date,
    o.status,
    o.total_amount,
    coalesce(
        (
            SELECT json_agg(
                json_build_object(
                    'product_id', i.product_id,
                    'product_name', p.product_name,
                    'quantity', i.quantity,
                    'unit_price', i.unit_price,
                    'subtotal', i.quantity * i.unit_price
                )
                ORDER BY i.order_item_id
            )
            FROM shop.order_items AS i
            JOIN shop.products AS p USING (product_id)
            WHERE i.order_id = o.order_id
        ),
        '[]'::json
    ) AS items
FROM shop.orders AS o;

COMMENT ON VIEW api.orders IS 'Orders with their items (product, quantity, unit price, subtotal = quantity * unit price).';
