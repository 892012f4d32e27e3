-- name: moment
-- The database's own time, by which readers tell how old a progress is.
SELECT now();

-- name: measured
-- What readers may know of partitions that this owner still owns; says which of them are stopped, and how many seconds ago each
-- was complete. Where nothing is left
-- that holds for the moment before Kafka was asked: what came after its answer is not applied. What a partition was
-- once complete through it stays complete through, so a record in flight after days of silence does not make it old.
-- Append times are whole milliseconds: of the last one more records may come, so it is complete only through the one before.
INSERT INTO shop.partition_progress AS p
    (topic, kafka_partition, next_offset, log_end, last_stored_at, complete_through, measured_at)
SELECT
    m.topic, m.kafka_partition, m.next_offset, m.log_end, m.last_stored_at,
    date_trunc('milliseconds', CASE WHEN m.next_offset >= m.log_end THEN %(asked_at)s ELSE m.last_stored_at END)
        - interval '1 millisecond',
    now()
FROM unnest(
    %(topics)s::text[], %(partitions)s::smallint[], %(epochs)s::bigint[], %(nexts)s::bigint[], %(ends)s::bigint[],
    %(stored)s::timestamptz[]
) AS m (topic, kafka_partition, epoch, next_offset, log_end, last_stored_at)
JOIN shop.consumer_offsets o USING (topic, kafka_partition)
WHERE o.epoch = m.epoch
ORDER BY m.topic, m.kafka_partition
ON CONFLICT (topic, kafka_partition) DO UPDATE
SET next_offset = excluded.next_offset,
    log_end = excluded.log_end,
    last_stored_at = coalesce(excluded.last_stored_at, p.last_stored_at),
    complete_through = greatest(p.complete_through, excluded.complete_through),
    measured_at = excluded.measured_at
RETURNING p.topic, p.kafka_partition, p.stopped_at IS NOT NULL, extract(epoch FROM now() - p.complete_through);

-- name: stopped
-- Which of these partitions stay stopped until `tillstream partitions resume` clears the mark.
SELECT p.topic, p.kafka_partition
FROM shop.partition_progress p
JOIN unnest(%(topics)s::text[], %(partitions)s::smallint[]) AS wanted (topic, kafka_partition)
    USING (topic, kafka_partition)
WHERE p.stopped_at IS NOT NULL;

-- name: stop
-- Stop partitions, in the transaction of the batch that was the last straw; the first reason stays.
INSERT INTO shop.partition_progress AS p
    (topic, kafka_partition, next_offset, log_end, measured_at, stopped_at, stop_reason)
SELECT topic, kafka_partition, next_offset, next_offset, now(), now(), reason
FROM unnest(%(topics)s::text[], %(partitions)s::smallint[], %(nexts)s::bigint[], %(reasons)s::text[])
    AS s (topic, kafka_partition, next_offset, reason)
ORDER BY topic, kafka_partition
ON CONFLICT (topic, kafka_partition) DO UPDATE
SET stopped_at = coalesce(p.stopped_at, excluded.stopped_at),
    stop_reason = coalesce(p.stop_reason, excluded.stop_reason);
