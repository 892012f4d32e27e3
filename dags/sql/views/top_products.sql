-- The hundred products that earned most in paid orders of all times; revenue is quantity times unit price.
SELECT product_id, product_name, category, total_units_sold, total_revenue
FROM api.top_products(36525, 100, api.shop_day(now()) + 2)
