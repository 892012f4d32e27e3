-- name: take_turns
-- Two people who ask at the same moment do it one after the other, so that neither asks for what the other did.
SELECT pg_advisory_xact_lock(7305112026)

-- name: request
-- Wishes for entries that are open and that nobody has wished for yet, in the order given; what was written.
INSERT INTO shop.replay_requests (quarantine_id, payload, requested_by)
SELECT q.id, w.payload, %(requested_by)s
FROM unnest(%(ids)s::bigint[], %(payloads)s::bytea[]) WITH ORDINALITY AS w (id, payload, place)
JOIN shop.quarantine AS q ON q.id = w.id
WHERE q.resolved_at IS NULL
  AND NOT EXISTS (SELECT FROM shop.replay_requests AS r WHERE r.quarantine_id = q.id AND r.applied_at IS NULL)
ORDER BY w.place
RETURNING id, quarantine_id

-- name: answers
-- Which of these wishes the worker has answered, and how. Another payload that was refused again lies in an entry of its
-- own, and the first one is settled: where it is open, its id is told. Other contents under the same id have other versions.
SELECT
  r.id, r.quarantine_id, r.outcome, r.reason,
  (
    SELECT max(n.id) FROM shop.quarantine AS n
    WHERE q.resolved_at IS NOT NULL AND n.message_id = q.message_id AND n.version = q.version AND n.resolved_at IS NULL
  ) AS refused_as
FROM shop.replay_requests AS r
JOIN shop.quarantine AS q ON q.id = r.quarantine_id
WHERE r.id = ANY(%(ids)s) AND r.applied_at IS NOT NULL
ORDER BY r.id

-- name: trail
-- Who asked for what, when, and what became of it; the newest first. Null for a filter means all.
SELECT
  r.id, r.quarantine_id, CASE WHEN r.payload IS NULL THEN 'replay' ELSE 'fix' END AS kind, r.requested_by,
  r.requested_at, r.applied_at, r.outcome, r.reason
FROM shop.replay_requests AS r
WHERE r.id < %(before)s
  AND (%(entry)s::bigint IS NULL OR r.quarantine_id = %(entry)s)
  AND (%(requested_by)s::text IS NULL OR r.requested_by = %(requested_by)s)
  AND (NOT %(only_open)s OR r.applied_at IS NULL)
  AND (%(since)s::timestamptz IS NULL OR r.requested_at >= %(since)s)
ORDER BY r.id DESC
LIMIT %(limit)s
