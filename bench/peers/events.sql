-- What the plain service writes into: a primary key and the index that any shop would have.
CREATE TABLE events (
    event_id uuid PRIMARY KEY,
    user_id bigint NOT NULL,
    event_type text NOT NULL,
    product_id bigint,
    event_timestamp timestamptz NOT NULL
);
CREATE INDEX events_user_time ON events (user_id, event_timestamp);
