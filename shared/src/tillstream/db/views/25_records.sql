-- The records themselves, for reports and for the tests of the data: one view per table, each row as it stands, without a join
-- that would hide a row whose parent is missing. Who a user is (name and e-mail address) is in none of them.

CREATE OR REPLACE VIEW api.users AS
SELECT user_id, signup_date
FROM shop.users;

COMMENT ON VIEW api.users IS 'Users without their names and addresses.';

CREATE OR REPLACE VIEW api.products AS
SELECT product_id, product_name, category, price
FROM shop.products;

COMMENT ON VIEW api.products IS 'Products.';

CREATE OR REPLACE VIEW api.order_items AS
SELECT order_id, order_item_id, product_id, quantity, unit_price
FROM shop.order_items;

COMMENT ON VIEW api.order_items IS 'Order items, also such whose order or product should be missing.';

CREATE OR REPLACE VIEW api.events AS
SELECT event_id, user_id, event_type, product_id, event_timestamp, source
FROM shop.events;

COMMENT ON VIEW api.events IS 'Events.';
