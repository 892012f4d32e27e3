-- name: session
-- This connection's back end: its pid and when it began, which together are never used twice.
SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid();

-- name: former_sessions
-- The sessions that own any of these partitions and are still there, except this one.
SELECT DISTINCT a.pid, a.backend_start
FROM unnest(%(topics)s::text[], %(partitions)s::smallint[]) AS wanted (topic, kafka_partition)
JOIN shop.consumer_offsets o USING (topic, kafka_partition)
JOIN pg_stat_activity a ON a.pid = o.owner_pid AND a.backend_start = o.owner_backend_start
WHERE a.pid <> pg_backend_pid();

-- name: end_session
-- End one session if it is still the one that is meant, and wait until its process is gone; false: it was not in time.
SELECT pg_terminate_backend(pid, %(wait_ms)s::bigint) AS gone
FROM pg_stat_activity
WHERE pid = %(pid)s AND backend_start = %(began)s AND pid <> pg_backend_pid();

-- name: first_rows
-- Give every partition that has no row yet one that begins where its log begins.
INSERT INTO shop.consumer_offsets (topic, kafka_partition, next_offset)
SELECT topic, kafka_partition, log_start
FROM unnest(%(topics)s::text[], %(partitions)s::smallint[], %(starts)s::bigint[])
    AS wanted (topic, kafka_partition, log_start)
ORDER BY topic, kafka_partition
ON CONFLICT (topic, kafka_partition) DO NOTHING;

-- name: lock_rows
-- Wait for whoever moves these rows now; in the one order that all take-overs keep.
SELECT o.topic
FROM shop.consumer_offsets o
JOIN unnest(%(topics)s::text[], %(partitions)s::smallint[]) AS wanted (topic, kafka_partition)
    USING (topic, kafka_partition)
ORDER BY o.topic, o.kafka_partition
FOR UPDATE OF o;

-- name: own
-- A new epoch with this connection as its owner. The log's identity stays what it was at first sight.
UPDATE shop.consumer_offsets o
SET epoch = o.epoch + 1,
    owner = %(owner)s,
    owner_pid = %(pid)s,
    owner_backend_start = %(began)s,
    cluster_id = coalesce(o.cluster_id, %(cluster_id)s),
    topic_id = coalesce(o.topic_id, wanted.topic_id),
    updated_at = now()
FROM unnest(%(topics)s::text[], %(partitions)s::smallint[], %(topic_ids)s::uuid[])
    AS wanted (topic, kafka_partition, topic_id)
WHERE o.topic = wanted.topic AND o.kafka_partition = wanted.kafka_partition
RETURNING
    o.topic, o.kafka_partition, o.epoch, o.next_offset, o.cluster_id, o.last_record_id, o.last_record_at, o.topic_id;

-- name: positions
-- Where these partitions stand, and in which epoch.
SELECT
    o.topic, o.kafka_partition, o.epoch, o.next_offset, o.cluster_id, o.last_record_id, o.last_record_at, o.topic_id
FROM shop.consumer_offsets o
JOIN unnest(%(topics)s::text[], %(partitions)s::smallint[]) AS wanted (topic, kafka_partition)
    USING (topic, kafka_partition);

-- name: advance
-- Move all offsets of a batch at once, each only if its epoch and its beginning are still the batch's; says which moved.
-- A move without a record leaves the last one; one with a record has its time, and its id where it has one.
WITH held AS (
    SELECT o.topic, o.kafka_partition, m.next_offset, m.last_record_id, m.last_record_at
    FROM shop.consumer_offsets o
    JOIN unnest(
        %(topics)s::text[], %(partitions)s::smallint[], %(epochs)s::bigint[], %(began)s::bigint[], %(nexts)s::bigint[],
        %(last_ids)s::text[], %(last_ats)s::timestamptz[]
    ) AS m (topic, kafka_partition, epoch, began, next_offset, last_record_id, last_record_at)
        USING (topic, kafka_partition)
    WHERE o.epoch = m.epoch AND o.next_offset = m.began
    ORDER BY o.topic, o.kafka_partition
    FOR UPDATE OF o
)
UPDATE shop.consumer_offsets o
SET next_offset = held.next_offset,
    last_record_id = CASE WHEN held.last_record_at IS NULL THEN o.last_record_id ELSE held.last_record_id END,
    last_record_at = coalesce(held.last_record_at, o.last_record_at),
    updated_at = now()
FROM held
WHERE o.topic = held.topic AND o.kafka_partition = held.kafka_partition
RETURNING o.topic, o.kafka_partition;

-- name: release
-- Give partitions up without a fight: whoever comes next need not end its connection.
UPDATE shop.consumer_offsets o
SET owner = NULL, owner_pid = NULL, owner_backend_start = NULL, updated_at = now()
FROM unnest(%(topics)s::text[], %(partitions)s::smallint[], %(epochs)s::bigint[])
    AS mine (topic, kafka_partition, epoch)
WHERE o.topic = mine.topic AND o.kafka_partition = mine.kafka_partition AND o.epoch = mine.epoch;
