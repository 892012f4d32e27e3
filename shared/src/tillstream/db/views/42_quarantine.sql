-- What was refused after a door had accepted it and is still open, with its exact bytes.

CREATE OR REPLACE VIEW api.quarantine AS
SELECT
    id,
    entity,
    message_id,
    reason,
    field,
    message,
    source,
    payload,
    topic,
    kafka_partition AS partition,
    kafka_offset AS "offset",
    job_id,
    line,
    accepted_at,
    received_at
FROM shop.quarantine
WHERE resolved_at IS NULL;

COMMENT ON VIEW api.quarantine IS 'Open quarantine entries.';

CREATE OR REPLACE VIEW api.quarantine_counts AS
SELECT source, reason, entity, count(*) AS entries
FROM shop.quarantine
WHERE resolved_at IS NULL
GROUP BY source, reason, entity;

COMMENT ON VIEW api.quarantine_counts IS 'How many open quarantine entries there are, by source, reason and kind of record.';
