"""The examples of the documentation page; a test sends every one of them."""

from typing import Any

from tillstream.contracts.entities import Entity

EXAMPLES: dict[Entity, dict[str, Any]] = {
    Entity.EVENT: {
        "event_id": "0192f0c1-7e2a-7c40-9b1e-3f5a8d2c6b70",
        "user_id": 1,
        "event_type": "page_view",
        "product_id": 3,
        "event_timestamp": "2024-01-20T10:15:00Z",
    },
    Entity.ORDER: {
        "order_id": 1,
        "user_id": 1,
        "order_date": "2024-01-20T10:30:00Z",
        "status": "paid",
        "total_amount": 1329.98,
        "items": [
            {"order_item_id": 1, "product_id": 1, "quantity": 1, "unit_price": 1299.99},
            {"order_item_id": 2, "product_id": 2, "quantity": 1, "unit_price": "29.99"},
        ],
    },
    Entity.USER: {
        "user_id": 1,
        "name": "Ada Example",
        "email": "ada@example.com",
        "signup_date": "2024-01-05",
    },
    Entity.PRODUCT: {
        "product_id": 1,
        "product_name": "Laptop Pro 15",
        "category": "Electronics",
        "price": 1299.99,
    },
}
BAD_EVENT: dict[str, Any] = {
    "user_id": 1,
    "event_type": "teleport",
    "event_timestamp": "2024-01-20T10:16:00Z",
}
MESSAGE_ID = "0192f0c1-7e2a-7c40-9b1e-3f5a8d2c6b70"
