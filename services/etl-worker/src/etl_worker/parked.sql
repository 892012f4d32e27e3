-- name: waiting
-- How many changes wait for which kind of parent, and since how many seconds the oldest of them.
SELECT waits_for, count(*), extract(epoch FROM now() - min(parked_at))
FROM shop.parked
GROUP BY waits_for
