-- What is known of a message id. One id may stand in several places (a stored event of which a different copy came
-- later is also in quarantine as an id conflict): the row with the least `precedence` is the answer. A duplicate leaves
-- no row of its own, since the first copy's row is what became of the id; it shows only where a resolution says so.

CREATE OR REPLACE VIEW api.receipts AS
SELECT
    event_id AS message_id,
    1 AS precedence,
    'stored' AS status,
    'event' AS entity,
    NULL::text AS reason,
    NULL::text AS message,
    source,
    CASE WHEN kafka_partition IS NOT NULL THEN 'shop.events.v1' END AS topic,
    kafka_partition AS partition,
    kafka_offset AS "offset",
    job_id,
    line,
    NULL::text AS waits_for,
    NULL::bigint AS waits_key,
    accepted_at,
    stored_at AS decided_at,
    NULL::timestamptz AS resolved_at
FROM shop.events
UNION ALL
SELECT
    message_id,
    CASE WHEN outcome IN ('stored', 'unchanged', 'superseded') THEN 2 ELSE 6 END,
    outcome,
    entity,
    reason,
    NULL,
    source,
    topic,
    kafka_partition,
    kafka_offset,
    job_id,
    line,
    NULL,
    NULL,
    accepted_at,
    applied_at,
    NULL
FROM shop.changes
UNION ALL
SELECT
    message_id,
    3,
    'parked',
    entity,
    NULL,
    NULL,
    source,
    topic,
    kafka_partition,
    kafka_offset,
    job_id,
    line,
    waits_for,
    waits_key,
    accepted_at,
    parked_at,
    NULL
FROM shop.parked
UNION ALL
SELECT
    message_id,
    CASE WHEN resolved_at IS NULL THEN 4 ELSE 5 END,
    CASE
        WHEN resolution IN ('stored', 'unchanged', 'superseded', 'duplicate') THEN resolution
        ELSE 'quarantined'
    END,
    entity,
    reason,
    message,
    source,
    topic,
    kafka_partition,
    kafka_offset,
    job_id,
    line,
    waits_for,
    waits_key,
    accepted_at,
    received_at,
    resolved_at
FROM shop.quarantine;

COMMENT ON VIEW api.receipts IS 'Every place that knows a message id; the row with the least precedence says what became of it.';
