"""The five kinds of record, the topics they travel on and the order in which they are applied."""

from enum import StrEnum


class Entity(StrEnum):
    """A kind of record. Declaration order is the order of application: parents come before children."""

    USER = "user"
    PRODUCT = "product"
    ORDER = "order"
    ORDER_ITEM = "order_item"
    EVENT = "event"


APPLY_ORDER = tuple(Entity)

USERS_TOPIC = "shop.users.v1"
PRODUCTS_TOPIC = "shop.products.v1"
ORDERS_TOPIC = "shop.orders.v1"
EVENTS_TOPIC = "shop.events.v1"
FILES_TOPIC = "shop.files.v1"

TOPIC_OF: dict[Entity, str] = {
    Entity.USER: USERS_TOPIC,
    Entity.PRODUCT: PRODUCTS_TOPIC,
    Entity.ORDER: ORDERS_TOPIC,
    Entity.EVENT: EVENTS_TOPIC,
}
ENTITY_OF_TOPIC: dict[str, Entity] = {topic: entity for entity, topic in TOPIC_OF.items()}
