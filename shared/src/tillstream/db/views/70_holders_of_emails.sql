-- Which users hold the e-mail addresses that the wishes of a dry run name. Who may call it needs no right to the column, and cannot
-- list what stands there.

CREATE OR REPLACE FUNCTION shop.holders_of_emails(emails text[])
RETURNS TABLE (email text, user_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT asked.email, u.user_id
    FROM unnest(emails) AS asked (email)
    JOIN shop.users AS u ON u.email_key = lower(asked.email);
END;

COMMENT ON FUNCTION shop.holders_of_emails(text[]) IS 'The users who hold any of these e-mail addresses, beside the address asked for.';
