-- Retention D+7: of those who signed up on a shop day, who did anything exactly seven shop days later. Newest day first.
-- `complete` is false until day 7 is over, because its share can still grow.

CREATE OR REPLACE FUNCTION api.retention(first_day date, last_day date, today date)
RETURNS TABLE (
    signup_day date, total_signups bigint, returned_users bigint, retention_percentage numeric, complete boolean
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
BEGIN ATOMIC
    WITH signups AS (
        SELECT u.user_id, api.shop_day(u.signup_date) AS signup_day
        FROM shop.users AS u
        WHERE u.signup_date >= api.surely_before(first_day)
            AND u.signup_date < api.surely_after(last_day)
            AND api.shop_day(u.signup_date) BETWEEN first_day AND last_day
    ),
    cohort AS (
        SELECT
            s.signup_day,
            EXISTS (
                SELECT
                FROM shop.events AS e
                WHERE e.user_id = s.user_id
                    AND e.event_timestamp >= api.surely_before(s.signup_day + 7)
                    AND e.event_timestamp < api.surely_after(s.signup_day + 7)
                    AND api.shop_day(e.event_timestamp) = s.signup_day + 7
            ) AS returned
        FROM signups AS s
    )
    SELECT
        c.signup_day,
        count(*),
        count(*) FILTER (WHERE c.returned),
        round(100.0 * count(*) FILTER (WHERE c.returned) / count(*), 2),
        today > c.signup_day + 7
    FROM cohort AS c
    GROUP BY c.signup_day
    ORDER BY c.signup_day DESC;
END;

COMMENT ON FUNCTION api.retention(date, date, date) IS
'Signups per shop day and the share of them with an event seven shop days later; complete once that day is over.';
