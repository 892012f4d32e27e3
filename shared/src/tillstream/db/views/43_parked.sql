-- What waits for a parent that has not come, and for which one.

CREATE OR REPLACE VIEW api.parked AS
SELECT
    message_id,
    entity,
    waits_for,
    waits_key,
    source,
    topic,
    kafka_partition AS partition,
    kafka_offset AS "offset",
    job_id,
    line,
    accepted_at,
    parked_at,
    expires_at
FROM shop.parked;

COMMENT ON VIEW api.parked IS 'Changes that wait for their parent.';
COMMENT ON COLUMN api.parked.expires_at IS 'When it is told in quarantine too; it is applied all the same if the parent comes later.';
