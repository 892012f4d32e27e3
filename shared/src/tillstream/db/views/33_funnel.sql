-- Order funnel: how many events of each stage there were, and how many per cent of the stage before and of the first
-- stage that is. The first stage is 100 by definition; where the divisor is zero the answer is null. Both ends of the
-- range are included and either may be null, which means "without end".

CREATE OR REPLACE FUNCTION api.funnel(first_day date, last_day date)
RETURNS TABLE (
    stage text, count bigint, conversion_rate_from_previous numeric, conversion_rate_from_start numeric
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
BEGIN ATOMIC
    WITH counted AS (
        SELECT e.event_type, count(*) AS events
        FROM shop.events AS e
        WHERE (first_day IS NULL OR (
                e.event_timestamp >= api.surely_before(first_day) AND api.shop_day(e.event_timestamp) >= first_day
            ))
            AND (last_day IS NULL OR (
                e.event_timestamp < api.surely_after(last_day) AND api.shop_day(e.event_timestamp) <= last_day
            ))
        GROUP BY e.event_type
    ),
    stages AS (
        SELECT
            s.stage,
            s.place,
            coalesce(c.events, 0) AS events,
            lag(coalesce(c.events, 0)) OVER steps AS events_before,
            first_value(coalesce(c.events, 0)) OVER steps AS events_at_start
        FROM (VALUES (1, 'page_view'), (2, 'add_to_cart'), (3, 'purchase')) AS s (place, stage)
        LEFT JOIN counted AS c ON c.event_type = s.stage
        WINDOW steps AS (ORDER BY s.place)
    )
    SELECT
        s.stage,
        s.events,
        CASE WHEN s.place = 1 THEN 100.00 ELSE round(100.0 * s.events / nullif(s.events_before, 0), 2) END,
        CASE WHEN s.place = 1 THEN 100.00 ELSE round(100.0 * s.events / nullif(s.events_at_start, 0), 2) END
    FROM stages AS s
    ORDER BY s.place;
END;

COMMENT ON FUNCTION api.funnel(date, date) IS
'Events per stage (page_view, add_to_cart, purchase) with the share of the stage before and of the first.';
