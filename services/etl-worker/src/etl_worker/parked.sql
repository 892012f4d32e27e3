-- name: waiting
-- How many changes wait for which kind of parent, and since how many seconds the oldest of them.
SELECT waits_for, count(*), extract(epoch FROM now() - min(parked_at))
FROM shop.parked
GROUP BY waits_for

-- name: quarantined
-- How many refused messages are open; an index holds no others.
SELECT count(*) FROM shop.quarantine WHERE resolved_at IS NULL
