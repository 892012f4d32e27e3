-- Days of the shop. The migration command makes api.shop_day(timestamptz) itself, with the zone as a literal, before it
-- runs these files. Under daylight saving a midnight may be missing or come twice, so nothing here turns a day into its
-- first moment: a range is first widened to moments that surely enclose it (which an index can use), then api.shop_day
-- decides. The widening is a whole day at each end, counted in UTC: more than any offset from UTC in use.

CREATE OR REPLACE FUNCTION api.surely_before(day date) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (day - 1)::timestamp AT TIME ZONE 'UTC';

COMMENT ON FUNCTION api.surely_before(date) IS 'A moment at or before the first one of this shop day, whatever the zone.';

CREATE OR REPLACE FUNCTION api.surely_after(day date) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (day + 2)::timestamp AT TIME ZONE 'UTC';

COMMENT ON FUNCTION api.surely_after(date) IS 'A moment after the last one of this shop day, whatever the zone.';
