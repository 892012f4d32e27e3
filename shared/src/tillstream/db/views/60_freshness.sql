-- How far the tables are behind the log, from what the worker measures; a reader never asks Kafka. What has not been
-- measured for 10 seconds, or never (a partition that nobody has taken over yet), is unknown rather than fresh.

CREATE OR REPLACE VIEW api.partitions AS
WITH expected AS (
    SELECT t.topic, p.partition::smallint AS partition
    FROM (VALUES
        ('shop.users.v1', 12),
        ('shop.products.v1', 12),
        ('shop.orders.v1', 12),
        ('shop.events.v1', 12),
        ('shop.files.v1', 3)
    ) AS t (topic, partitions)
    CROSS JOIN LATERAL generate_series(0, t.partitions - 1) AS p (partition)
)
SELECT
    coalesce(e.topic, m.topic) AS topic,
    coalesce(e.partition, m.kafka_partition) AS partition,
    m.next_offset,
    m.log_end,
    m.last_stored_at,
    m.measured_at,
    m.stopped_at,
    m.stop_reason,
    m.measured_at IS NULL OR m.measured_at < now() - interval '10 seconds' AS is_unknown,
    greatest(m.log_end - m.next_offset, 0) AS lag_records,
    m.complete_through
FROM expected AS e
FULL JOIN shop.partition_progress AS m ON m.topic = e.topic AND m.kafka_partition = e.partition;

COMMENT ON VIEW api.partitions IS
'Progress per partition. Everything appended up to complete_through is applied: the latest of when nothing was left and when the last stored record was appended; it never falls.';

CREATE OR REPLACE VIEW api.freshness AS
WITH progress AS (
    SELECT
        topic,
        count(*) AS partitions,
        count(*) FILTER (WHERE is_unknown) AS unknown_partitions,
        count(stopped_at) AS stopped_partitions,
        CASE WHEN bool_or(is_unknown) THEN NULL ELSE sum(lag_records) END AS lag_records,
        coalesce(sum(lag_records), 0) AS known_lag_records,
        CASE WHEN bool_and(complete_through IS NOT NULL) THEN min(complete_through) END AS complete_through,
        -- A partition that has records waiting and was never seen empty or stored out of: its age cannot be told.
        CASE
            WHEN bool_or(is_unknown OR (lag_records > 0 AND complete_through IS NULL)) THEN NULL
            ELSE coalesce(max(greatest(now() - complete_through, interval '0')) FILTER (WHERE lag_records > 0), interval '0')
        END AS lag,
        max(last_stored_at) AS last_stored_at
    FROM api.partitions
    GROUP BY topic
),
topics AS (
    SELECT
        entity,
        CASE entity
            WHEN 'user' THEN 'shop.users.v1'
            WHEN 'product' THEN 'shop.products.v1'
            WHEN 'order' THEN 'shop.orders.v1'
            WHEN 'order_item' THEN 'shop.orders.v1'
            WHEN 'event' THEN 'shop.events.v1'
        END AS topic
    FROM unnest(ARRAY['user', 'product', 'order', 'order_item', 'event']) AS entity
),
parked AS (
    SELECT t.topic, sum(p.entries) AS entries
    FROM (SELECT entity, count(*) AS entries FROM shop.parked GROUP BY entity) AS p
    JOIN topics AS t USING (entity)
    GROUP BY t.topic
),
quarantined AS (
    SELECT t.topic, sum(q.entries) AS entries
    FROM api.quarantine_counts AS q
    JOIN topics AS t USING (entity)
    GROUP BY t.topic
)
SELECT
    g.topic,
    CASE
        WHEN g.unknown_partitions > 0 THEN 'unknown'
        WHEN g.lag_records > 0 THEN 'behind'
        ELSE 'current'
    END AS status,
    g.partitions,
    g.unknown_partitions,
    g.stopped_partitions,
    g.complete_through,
    g.lag_records,
    round(extract(epoch FROM g.lag), 3) AS lag_seconds,
    g.last_stored_at,
    g.known_lag_records + coalesce(p.entries, 0) AS waiting,
    coalesce(p.entries, 0) AS parked,
    coalesce(q.entries, 0) AS quarantined
FROM progress AS g
LEFT JOIN parked AS p USING (topic)
LEFT JOIN quarantined AS q USING (topic);

COMMENT ON VIEW api.freshness IS
'Per topic: how far the tables are behind the log (null where unknown), and how many records wait for a parent or are refused.';

CREATE OR REPLACE VIEW api.unfinished_files AS
SELECT
    (SELECT count(*) FROM shop.file_jobs WHERE status IN ('queued', 'running'))
    + (CASE WHEN bool_or(is_unknown) THEN NULL ELSE sum(lag_records) END)::bigint AS files
FROM api.partitions
WHERE topic = 'shop.files.v1';

COMMENT ON VIEW api.unfinished_files IS
'How many file jobs are queued, running, or still in the log; null where the log of file jobs was not measured.';
