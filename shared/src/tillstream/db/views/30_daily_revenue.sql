-- Daily revenue: paid orders by shop day of order_date, newest day first. A day without a paid order has no row.
-- Here and in the files after it, plans are made anew for each range: the right one for a week is the wrong one for years.

CREATE OR REPLACE FUNCTION api.daily_revenue(first_day date, last_day date)
RETURNS TABLE (order_day date, daily_revenue numeric, total_orders bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
BEGIN ATOMIC
    SELECT api.shop_day(o.order_date), sum(o.total_amount), count(*)
    FROM shop.orders AS o
    WHERE o.status = 'paid'
        AND o.order_date >= api.surely_before(first_day)
        AND o.order_date < api.surely_after(last_day)
        AND api.shop_day(o.order_date) BETWEEN first_day AND last_day
    GROUP BY api.shop_day(o.order_date)
    ORDER BY api.shop_day(o.order_date) DESC;
END;

COMMENT ON FUNCTION api.daily_revenue(date, date) IS 'Sum and number of paid orders per shop day, both ends included.';
