"""What people write first: Flask, psycopg2 and `execute_batch`, run by gunicorn with two workers of one process each.

    gunicorn --workers 2 --bind 127.0.0.1:8101 flask_ingest:app        with PEER_DSN in the environment

It checks what one checks by hand, takes a batch or nothing, and answers after the commit. Each request has a connection of its
own, closed when it ends, as in Flask's tutorial (https://flask.palletsprojects.com/en/stable/tutorial/database/); with
PEER_CONNECTION=kept each process keeps one for ever, which is quicker, and broken once PostgreSQL was restarted.
"""

import os
from datetime import datetime
from typing import Any
from uuid import uuid4

import psycopg2
from flask import Flask, Response, g, jsonify, request
from psycopg2.extras import execute_batch

TYPES = {"page_view", "add_to_cart", "purchase"}
PAGE_SIZE = 500
INSERT = """
INSERT INTO events (event_id, user_id, event_type, product_id, event_timestamp) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (event_id) DO NOTHING
"""

app = Flask(__name__)
dsn = os.environ["PEER_DSN"]
kept = psycopg2.connect(dsn) if os.environ.get("PEER_CONNECTION") == "kept" else None


def get_db() -> "psycopg2.extensions.connection":
    """The connection of this request."""
    if "db" not in g:
        g.db = kept or psycopg2.connect(dsn)
    return g.db


@app.teardown_appcontext
def close_db(_error: BaseException | None) -> None:
    """Called when a request ends."""
    connection = g.pop("db", None)
    if connection is not None and connection is not kept:
        connection.close()


@app.post("/ingest/events")
def ingest() -> tuple[Response, int]:
    """A list of events, or one."""
    body = request.get_json()
    items = body if isinstance(body, list) else [body]
    try:
        rows = [_row(item) for item in items]
    except (KeyError, TypeError, ValueError) as error:
        return jsonify(error=str(error)), 422
    connection = get_db()
    with connection, connection.cursor() as cursor:
        execute_batch(cursor, INSERT, rows, page_size=PAGE_SIZE)
    return jsonify(inserted=len(rows), event_ids=[row[0] for row in rows]), 202


def _row(item: dict[str, Any]) -> tuple[object, ...]:
    if item["event_type"] not in TYPES:
        raise ValueError(item["event_type"])
    moment = datetime.fromisoformat(item["event_timestamp"])
    event_id = item.get("event_id") or str(uuid4())
    return event_id, int(item["user_id"]), item["event_type"], item.get("product_id"), moment
