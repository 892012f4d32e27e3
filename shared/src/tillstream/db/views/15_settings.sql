-- What a reader must agree on with the rest of the system before it answers anything.

CREATE OR REPLACE VIEW api.settings AS
SELECT key, value
FROM shop.settings;

COMMENT ON VIEW api.settings IS 'What every service must agree on, as the migration command wrote it.';
