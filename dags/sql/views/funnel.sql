-- Events by stage, from looking to buying, with the share of the stage before and of the first.
SELECT stage, count, conversion_rate_from_previous, conversion_rate_from_start
FROM api.funnel(NULL, NULL)
