-- What the loader of files writes into: the shop's own tables, with its keys, indexes and constraints.
CREATE TABLE users (user_id bigint PRIMARY KEY);
CREATE TABLE products (product_id bigint PRIMARY KEY);
CREATE TABLE orders (
    order_id bigint PRIMARY KEY CHECK (order_id >= 1),
    user_id bigint NOT NULL REFERENCES users,
    order_date timestamptz NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'paid', 'cancelled', 'shipped')),
    total_amount numeric(12, 2) NOT NULL CHECK (total_amount >= 0),
    version bigint NOT NULL DEFAULT 0,
    stored_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX orders_by_user ON orders (user_id, order_date DESC, order_id DESC);
CREATE INDEX orders_newest_first ON orders (order_date DESC, order_id DESC);
CREATE TABLE events (
    event_id uuid PRIMARY KEY,
    user_id bigint NOT NULL,
    event_type text NOT NULL CHECK (event_type IN ('page_view', 'add_to_cart', 'purchase')),
    product_id bigint,
    event_timestamp timestamptz NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX events_event_timestamp_brin ON events USING brin (event_timestamp);
CREATE INDEX events_user_id_event_timestamp_idx ON events (user_id, event_timestamp);
