"""The closed list of reasons for which a record or a file is refused, each with one sentence for people."""

from enum import StrEnum


class Reason(StrEnum):
    """A stable code; programs match on it, people read `SENTENCES`."""

    MALFORMED_JSON = "malformed_json"
    UNKNOWN_FIELD = "unknown_field"
    MISSING_FIELD = "missing_field"
    INVALID_ID = "invalid_id"
    INVALID_TEXT = "invalid_text"
    INVALID_EMAIL = "invalid_email"
    INVALID_NUMBER = "invalid_number"
    INVALID_AMOUNT = "invalid_amount"
    NEGATIVE_AMOUNT = "negative_amount"
    INVALID_TIMESTAMP = "invalid_timestamp"
    INVALID_EVENT_TYPE = "invalid_event_type"
    INVALID_STATUS = "invalid_status"
    INVALID_ITEMS = "invalid_items"
    INVALID_RECORD = "invalid_record"
    INVALID_HEADER = "invalid_header"
    UNREADABLE_BATCH = "unreadable_batch"
    RECORD_TOO_LARGE = "record_too_large"
    RAGGED_ROW = "ragged_row"
    DUPLICATE_KEY = "duplicate_key"
    DUPLICATE_EMAIL = "duplicate_email"
    ID_CONFLICT = "id_conflict"
    UNKNOWN_USER = "unknown_user"
    UNKNOWN_PRODUCT = "unknown_product"
    UNKNOWN_ORDER = "unknown_order"
    REFUSED_BY_DATABASE = "refused_by_database"


SENTENCES: dict[Reason, str] = {
    Reason.MALFORMED_JSON: "The record is not valid JSON in UTF-8.",
    Reason.UNKNOWN_FIELD: "The record has a field that its contract does not know.",
    Reason.MISSING_FIELD: "A required field is missing.",
    Reason.INVALID_ID: "An id is not a whole number from 1 to 9223372036854775807, or an event id is not a text of 1 to 320 characters.",
    Reason.INVALID_TEXT: "A text is empty, longer than 320 characters, or contains a control character or a lone surrogate.",
    Reason.INVALID_EMAIL: "The e-mail address is not a text of at most 320 characters with exactly one @, something before it and a domain with an inner dot after it.",
    Reason.INVALID_NUMBER: "A quantity is not a whole number from 0 to 9223372036854775807.",
    Reason.INVALID_AMOUNT: "An amount is not a plain decimal with at most 2 places below 10000000000.",
    Reason.NEGATIVE_AMOUNT: "An amount or a quantity is below zero.",
    Reason.INVALID_TIMESTAMP: "A time is not ISO 8601, or lies before 2000-01-01 or too far in the future.",
    Reason.INVALID_EVENT_TYPE: "The event type is none of page_view, add_to_cart, purchase.",
    Reason.INVALID_STATUS: "The order status is none of pending, paid, cancelled, shipped.",
    Reason.INVALID_ITEMS: "The items of an order are not a list of at most 1000 distinct order items.",
    Reason.INVALID_RECORD: "The record is not an object, or a value has the wrong type.",
    Reason.INVALID_HEADER: "A header of the Kafka record cannot be read.",
    Reason.UNREADABLE_BATCH: "A batch of Kafka records cannot be unpacked, unpacks to more than 32 MiB, or has more records or headers than memory should hold; it is kept as it was packed.",
    Reason.RECORD_TOO_LARGE: "The record is larger than a Kafka record may be (1 MiB).",
    Reason.RAGGED_ROW: "The row has another number of cells than the header.",
    Reason.DUPLICATE_KEY: "The same key stood in an earlier row of this file.",
    Reason.DUPLICATE_EMAIL: "Another user already holds this e-mail address.",
    Reason.ID_CONFLICT: "The same id came before with another content; the first one counts.",
    Reason.UNKNOWN_USER: "The user did not appear within the time limit for waiting.",
    Reason.UNKNOWN_PRODUCT: "The product did not appear within the time limit for waiting.",
    Reason.UNKNOWN_ORDER: "The order did not appear within the time limit for waiting.",
    Reason.REFUSED_BY_DATABASE: "The database refused the record although it kept the contract; this is worth a report.",
}
