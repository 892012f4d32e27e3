"""One example per answer, for the OpenAPI document: the sample shop as the README shows it.

FastAPI leaves the nulls of an example out of the document; the schema beside it names every field.
"""

FRESHNESS = {
    "status": "current",
    "complete_through": "2025-01-02T09:15:00.120Z",
    "lag_seconds": 0,
    "lag_records": 0,
    "waiting": 0,
    "unfinished_files": 0,
}
ORDER = {
    "order_id": 1,
    "order_date": "2024-01-20T10:30:00Z",
    "status": "paid",
    "total_amount": 1329.98,
    "items": [
        {
            "product_id": 1,
            "product_name": "Laptop Pro 15",
            "quantity": 1,
            "unit_price": 1299.99,
            "subtotal": 1299.99,
        },
        {
            "product_id": 2,
            "product_name": "Wireless Mouse",
            "quantity": 1,
            "unit_price": 29.99,
            "subtotal": 29.99,
        },
    ],
}
ORDERS = {
    "orders": [ORDER],
    "next_cursor": "WyJvcmRlcnMiLCIyMDI0LTAxLTIwVDEwOjMwOjAwWiIsMV0",
}
DAILY_REVENUE = {
    "daily_revenue": [{"order_day": "2024-01-20", "daily_revenue": 1329.98, "total_orders": 1}],
    "freshness": FRESHNESS,
}
TOP_PRODUCTS = {
    "top_products": [
        {
            "product_id": 1,
            "product_name": "Laptop Pro 15",
            "category": "Electronics",
            "total_units_sold": 3,
            "total_revenue": 3899.97,
        }
    ],
    "freshness": FRESHNESS,
}
RETENTION = {
    "retention": [
        {
            "signup_day": "2024-01-03",
            "total_signups": 3,
            "returned_users": 2,
            "retention_percentage": 66.67,
            "complete": True,
        }
    ],
    "freshness": FRESHNESS,
}
FUNNEL = {
    "funnel": [
        {
            "stage": "page_view",
            "count": 200,
            "conversion_rate_from_previous": 100.00,
            "conversion_rate_from_start": 100.00,
        },
        {
            "stage": "add_to_cart",
            "count": 60,
            "conversion_rate_from_previous": 30.00,
            "conversion_rate_from_start": 30.00,
        },
        {
            "stage": "purchase",
            "count": 40,
            "conversion_rate_from_previous": 66.67,
            "conversion_rate_from_start": 20.00,
        },
    ],
    "freshness": FRESHNESS,
}
JOB = {
    "job_id": "01942f1e-7b1a-7c55-9d0e-5f2a6c1b8e40",
    "file_name": "orders.csv",
    "source": "shop",
    "kind": "order",
    "status": "loaded_with_rejects",
    "sha256": "9f2feb0f1ef425b292f2f94bc8482494df430413d4c6f3a6c6f0c8a1f8a1b0d2",
    "bytes": 5120,
    "rows": 100,
    "loaded": 97,
    "unchanged": 0,
    "superseded": 0,
    "duplicate": 0,
    "parked": 1,
    "rejected": 2,
    "elapsed_seconds": 0.052,
    "rows_per_second": 1923.1,
    "error": None,
    "created_at": "2025-01-02T09:14:58.400Z",
    "finished_at": "2025-01-02T09:14:58.452Z",
    "settled_at": None,
    "duplicate_of": None,
    "encoding": "utf-8",
    "encoding_certainty": "whole_file",
    "percent": 100,
    "eta_seconds": None,
    "corrects": [],
    "corrected_by": ["01942f2a-3c07-7d1e-8b62-4f0d9e7a5c13"],
}
JOBS = {"jobs": [JOB], "next_cursor": None}
REJECTS = (
    "line,reason,message,message_id,version,order_id,user_id,order_date,status,total_amount\r\n"
    "7,invalid_status,status is none of pending, …\r\n"
)
QUARANTINE = {
    "quarantine": [
        {
            "id": 17,
            "reason": "invalid_status",
            "message": "The order status is none of pending, paid, cancelled, shipped.",
            "source": "shop",
            "received_at": "2025-01-02T09:14:58.450Z",
            "payload": "7,1,2024-03-01,lost,10.00",
            "payload_bytes": 25,
            "entity": "order",
            "field": "status",
            "message_id": "5c6e8f2a-0f0b-5a44-8a57-0c9c1d7f3e21",
            "topic": None,
            "partition": None,
            "offset": None,
            "job_id": "01942f1e-7b1a-7c55-9d0e-5f2a6c1b8e40",
            "line": 7,
            "accepted_at": "2025-01-02T09:14:58.300Z",
        }
    ],
    "counts": {"invalid_status": 1},
    "counts_by_source": {"shop": {"invalid_status": 1}},
    "next_cursor": None,
    "freshness": FRESHNESS,
}
_PARENT = {"entity": "user", "id": 17}
PARKED = {
    "parked": [
        {
            "message_id": "01942f21-5a10-7b3c-8e55-6a1d0c9b7f42",
            "entity": "order",
            "waits_for": _PARENT,
            "source": "shop",
            "topic": "shop.orders.v1",
            "partition": 4,
            "offset": 310,
            "job_id": None,
            "line": None,
            "accepted_at": "2025-01-02T09:14:58.300Z",
            "parked_at": "2025-01-02T09:14:58.350Z",
            "expires_at": "2025-01-09T09:14:58.350Z",
        }
    ],
    "missing": [{"waits_for": _PARENT, "waiting": 1, "since": "2025-01-02T09:14:58.350Z"}],
    "next_cursor": None,
    "freshness": FRESHNESS,
}
RECEIPT = {
    "event_id": "0b0d7d2e-3a39-4c2b-9a0e-5f0a2f9d1c11",
    "status": "stored",
    "entity": "event",
    "reason": None,
    "message": None,
    "source": "shop",
    "topic": "shop.events.v1",
    "partition": 3,
    "offset": 4711,
    "job_id": None,
    "file_name": None,
    "line": None,
    "accepted_at": "2025-01-02T09:15:00.020Z",
    "decided_at": "2025-01-02T09:15:00.095Z",
    "resolved_at": None,
    "waits_for": None,
}
FRESHNESS_REPORT = {
    "topics": [
        {
            "topic": "shop.events.v1",
            "status": "behind",
            "complete_through": "2025-01-02T09:14:57Z",
            "lag_records": 1200,
            "lag_seconds": 3.12,
            "last_stored_at": "2025-01-02T09:15:00Z",
            "waiting": 1203,
            "parked": 3,
            "quarantined": 2,
            "partitions": 12,
            "unknown_partitions": 0,
            "stopped": [],
        }
    ],
    "unfinished_files": 0,
    "timestamp": "2025-01-02T09:15:00.120Z",
}
HEALTH = {"status": "healthy", "timestamp": "2025-01-02T09:15:00.120Z"}
