"""The engine's SQL, read once when the module is loaded from its own package."""

from tillstream.contracts.entities import Entity
from tillstream.db.queries import load

_PACKAGE = "tillstream.apply.sql"

STAGING = load(_PACKAGE, "staging.sql")
CHANGES = load(_PACKAGE, "changes.sql")
USERS = load(_PACKAGE, "users.sql")
PRODUCTS = load(_PACKAGE, "products.sql")
ORDERS = load(_PACKAGE, "orders.sql")
ORDER_ITEMS = load(_PACKAGE, "order_items.sql")
EVENTS = load(_PACKAGE, "events.sql")
EXCEPTIONS = load(_PACKAGE, "exceptions.sql")
SWEEP = load(_PACKAGE, "sweep.sql")
REPLAY = load(_PACKAGE, "replay.sql")
FORECAST = load(_PACKAGE, "forecast.sql")
FILE_ROWS = {
    Entity.ORDER: load(_PACKAGE, "file_orders.sql"),
    Entity.EVENT: load(_PACKAGE, "file_events.sql"),
}
FILE_PARENTS = load(_PACKAGE, "file_parents.sql")
