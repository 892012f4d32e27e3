-- Top products: what paid orders of the last `days` shop days up to and including `as_of` sold, by revenue; ties by id.
-- Revenue is quantity * unit_price of the items, not the orders' totals, which may hold shipping or a discount.

CREATE OR REPLACE FUNCTION api.top_products(days integer, max_rows integer, as_of date)
RETURNS TABLE (
    product_id bigint, product_name text, category text, total_units_sold numeric, total_revenue numeric
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
BEGIN ATOMIC
    WITH sold AS (
        SELECT i.product_id, sum(i.quantity) AS units, sum(i.quantity * i.unit_price) AS revenue
        FROM shop.orders AS o
        JOIN shop.order_items AS i USING (order_id)
        WHERE o.status = 'paid'
            AND o.order_date >= api.surely_before(as_of - days + 1)
            AND o.order_date < api.surely_after(as_of)
            AND api.shop_day(o.order_date) BETWEEN as_of - days + 1 AND as_of
        GROUP BY i.product_id
        ORDER BY revenue DESC, i.product_id
        LIMIT max_rows
    )
    SELECT p.product_id, p.product_name, p.category, s.units, s.revenue
    FROM sold AS s
    JOIN shop.products AS p USING (product_id)
    ORDER BY s.revenue DESC, p.product_id;
END;

COMMENT ON FUNCTION api.top_products(integer, integer, date) IS
'The products that earned most in paid orders of the last `days` shop days up to and including `as_of`.';
