-- name: refuse_taken_emails
-- An address belongs to who holds it, else to who asked first. Refusing one change can free an older one or another
-- address, so this runs until it refuses nothing.
WITH winners AS (
  SELECT DISTINCT ON (key) ord, key, version, lower(email) AS email_key
  FROM incoming WHERE active AND entity = 'user' AND outcome IS NULL
  ORDER BY key, version DESC
),
effective AS (
  SELECT w.ord, w.key, w.email_key, u.email_key IS NOT DISTINCT FROM w.email_key AS holds
  FROM winners AS w LEFT JOIN shop.users AS u ON u.user_id = w.key
  WHERE u.user_id IS NULL OR w.version > u.version
),
claims AS (
  SELECT ord, email_key, holds FROM effective
  UNION ALL
  SELECT NULL, u.email_key, true
  FROM shop.users AS u
  WHERE u.email_key IN (SELECT email_key FROM effective)
    AND NOT EXISTS (SELECT 1 FROM effective AS e WHERE e.key = u.user_id)
),
ranked AS (
  SELECT ord, row_number() OVER (PARTITION BY email_key ORDER BY holds DESC, ord) AS place FROM claims
)
UPDATE incoming AS i SET outcome = 'quarantined', reason = 'duplicate_email'
FROM ranked AS r
WHERE r.place > 1 AND i.ord = r.ord

-- name: refuse_contested_emails
-- The end of a quarrel that takes too many rounds: whoever asks for an address that another user holds now, or asked for
-- first in this batch, is refused, without regard to who might give it up. Nothing is contested after it.
WITH candidates AS (
  SELECT ord, key, lower(email) AS email_key FROM incoming WHERE active AND entity = 'user' AND outcome IS NULL
),
firsts AS (
  SELECT DISTINCT ON (email_key) email_key, key FROM candidates ORDER BY email_key, ord
)
UPDATE incoming AS i SET outcome = 'quarantined', reason = 'duplicate_email'
FROM candidates AS c
JOIN firsts AS f USING (email_key)
LEFT JOIN shop.users AS u ON u.email_key = c.email_key
WHERE i.ord = c.ord AND (f.key <> c.key OR u.user_id <> c.key)

-- name: upsert
-- The newest change of each user, where it is newer than the row.
WITH winners AS (
  SELECT DISTINCT ON (key) key, name, email, signup_date, version
  FROM incoming WHERE active AND entity = 'user' AND outcome IS NULL
  ORDER BY key, version DESC
),
applied AS (
  INSERT INTO shop.users AS u (user_id, name, email, signup_date, version)
  SELECT key, name, email, signup_date, version FROM winners ORDER BY key
  ON CONFLICT (user_id) DO UPDATE SET
    name = excluded.name, email = excluded.email, signup_date = excluded.signup_date, version = excluded.version,
    stored_at = now()
  WHERE excluded.version > u.version
  RETURNING new.user_id AS key, new.version AS version,
    (old.name, old.email, old.signup_date) IS NOT DISTINCT FROM (new.name, new.email, new.signup_date) AS is_same
)
UPDATE incoming AS i SET
  outcome = CASE WHEN a.version IS NULL THEN 'superseded' WHEN a.is_same THEN 'unchanged' ELSE 'stored' END
FROM incoming AS j LEFT JOIN applied AS a ON a.key = j.key AND a.version = j.version
WHERE i.ord = j.ord AND i.active AND i.entity = 'user' AND i.outcome IS NULL

-- name: check_emails_now
-- What another session stored meanwhile shows here, where it can still be narrowed down, and not at COMMIT.
SET CONSTRAINTS shop.users_email_key_key IMMEDIATE

-- name: check_emails_later
-- The addresses of a batch may be swapped, so that they are compared when all are in place.
SET CONSTRAINTS shop.users_email_key_key DEFERRED
