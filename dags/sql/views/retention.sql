-- Signups by shop day, and who of them did anything seven shop days later; complete once that day is over.
SELECT signup_day, total_signups, returned_users, retention_percentage, complete
FROM api.retention(DATE '1999-12-31', api.shop_day(now()) + 2, api.shop_day(now()))
