-- name: define
-- The one function that says to which day of the shop a moment belongs. The zone is a literal, so that it is immutable and inlined.
CREATE OR REPLACE FUNCTION api.shop_day(moment timestamptz) RETURNS date
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN (moment AT TIME ZONE {zone})::date

-- name: recorded_zone
-- The zone that this database was made with, if it was made.
SELECT value FROM shop.settings WHERE key = 'shop_timezone'

-- name: record_zone
-- Kept beside the function, so that a service can compare it with its own setting.
INSERT INTO shop.settings (key, value) VALUES ('shop_timezone', :zone)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = now()
