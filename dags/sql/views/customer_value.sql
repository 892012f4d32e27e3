-- What each user has spent in paid orders, and when; users without a paid order are there with zero.
SELECT
    u.user_id,
    api.shop_day(u.signup_date) AS signup_day,
    count(o.order_id) AS paid_orders,
    coalesce(sum(o.total_amount), 0) AS revenue,
    round(avg(o.total_amount), 2) AS average_order,
    min(api.shop_day(o.order_date)) AS first_order_day,
    max(api.shop_day(o.order_date)) AS last_order_day
FROM api.users AS u
LEFT JOIN api.orders AS o ON o.user_id = u.user_id AND o.status = 'paid'
GROUP BY u.user_id, u.signup_date
