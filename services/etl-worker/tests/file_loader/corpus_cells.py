"""Cells: the rules of the contracts, one broken or just kept at a time, for all five kinds."""

from dataclasses import replace

from .corpus import EVENTS, ITEMS, ORDERS, PRODUCTS, USERS, Oddity, cell, ends, seeded


def user(title: str, row: str, reason: str | None = None, texts: tuple[str, ...] | None = None) -> Oddity:
    return cell(title, USERS, row.encode(), reason, texts)


def user_id(text: str, reason: str | None = "invalid_id") -> Oddity:
    return user(f"a user's id written {text[:30]}", f"{text},Ann,ann@example.org,2024-01-05", reason)


def name(text: str, reason: str | None = None) -> Oddity:
    return user(
        f"a name written {text[:30]!r}",
        f"1,{text},ann@example.org,2024-01-05",
        reason,
        (text,) if reason is None else None,
    )


def email(text: str, reason: str | None = "invalid_email") -> Oddity:
    return user(f"an e-mail address written {text[:30]!r}", f"1,Ann,{text},2024-01-05", reason)


def signed_up(text: str, reason: str | None = "invalid_timestamp") -> Oddity:
    return user(f"a day written {text!r}", f"1,Ann,ann@example.org,{text}", reason)


def price(text: str, reason: str | None = "invalid_amount", stored: str | None = None) -> Oddity:
    found = cell(f"a price written {text!r}", PRODUCTS, f'1,Lamp,Home,"{text}"'.encode(), reason)
    return found if stored is None else replace(found, texts=(f"Lamp {stored}",))


def order(title: str, row: bytes, reason: str | None = None) -> Oddity:
    return cell(title, ORDERS, row, reason)


def item(title: str, row: bytes, reason: str | None = None) -> Oddity:
    return cell(title, ITEMS, row, reason)


def event(title: str, row: bytes, reason: str | None = None) -> Oddity:
    return cell(title, EVENTS, row, reason)


USER_CELLS = (
    user_id("9223372036854775807", None),
    user_id("9223372036854775808"),
    user_id("0"),
    user_id("-1"),
    user_id("+1"),
    user_id("01"),
    user_id("1e5"),
    user_id("1.0"),
    user_id("1_000"),
    user_id(" 1"),
    user_id("1 "),
    user_id("0x1"),
    user_id("１"),
    user_id("١"),
    user_id("²"),
    user_id("NaN"),
    user_id("TRUE"),
    user_id("=1+1"),
    user_id("9" * 5_000),
    user_id("", "missing_field"),
    name("=cmd|'/c calc'!A1"),
    name("+49 30 1234"),
    name("-"),
    name("@ann"),
    name("'; DROP TABLE users; --"),
    name("<script>alert(1)</script>"),
    name("NULL"),
    name(" "),
    name("\u200b"),
    name("", "missing_field"),
    email("ANN@EXAMPLE.ORG", None),
    email("äß@bücher.example", None),
    email("ann"),
    email("ann@example"),
    email("ann@@example.org"),
    email("ann@example.org."),
    email("@example.org"),
    email("ann lee@example.org"),
    email("ann@example.org ; bob@example.org"),
    email("x" * 309 + "@example.or", None),
    email("a" * 310 + "@example.or"),
    signed_up("2024-02-29", None),
    signed_up("2024-01-05T10:30", None),
    signed_up("2024-01-05 10:30:00.123456", None),
    signed_up("2024-01-05T23:59:59+14:00", None),
    signed_up("2000-01-01", None),
    signed_up("2026-03-02T12:00:10Z", None),
    signed_up("2023-02-29"),
    signed_up("2024-13-01"),
    signed_up("2024-00-10"),
    signed_up("05/01/2024"),
    signed_up("05.01.2024"),
    signed_up("05-01-2024"),
    signed_up("2024/01/05"),
    signed_up("2024-1-5"),
    signed_up("20240105"),
    signed_up("5 Jan 2024"),
    signed_up("2024-W01-5"),
    signed_up("2024-005"),
    signed_up("45296"),
    signed_up("1728988200"),
    signed_up("2024-01-05T24:00:00Z"),
    signed_up("2016-12-31T23:59:60Z"),
    signed_up("2024-01-05T10:30:00.1234567Z"),
    signed_up("2024-01-05T10:30:00z"),
    signed_up("2024-01-05T10:30:00+0100"),
    signed_up("2024-01-05T10:30:00+24:00"),
    signed_up("2024-01-05T10:30:00 Europe/Berlin"),
    signed_up("２０２４-01-05"),
    signed_up("1999-12-31T23:59:59Z"),
    signed_up("2000-01-01T00:00:00+00:01"),
    signed_up("2026-03-02T12:00:11Z"),
    signed_up("9999-12-31"),
    signed_up("10000-01-01"),
    signed_up("-2024-01-05"),
    signed_up("0000-00-00"),
    signed_up("2024-01-05 "),
)
PRODUCT_CELLS = (
    price("0", None, "0.00"),
    price("0.5", None, "0.50"),
    price("-0", None, "0.00"),
    price("9999999999.99", None, "9999999999.99"),
    price("10000000000"),
    price("-0.01", "negative_amount"),
    price("1.999"),
    price("9,99"),
    price("1.234,56"),
    price("1,234.56"),
    price("1 234.56"),
    price("1'234.56"),
    price("1e2"),
    price("1."),
    price(".5"),
    price("01.50"),
    price("+1.50"),
    price("$9.99"),
    price("9.99 €"),
    price("9.99 "),
    price("９.99"),
    price("Infinity"),
    price("0x10"),
    price("=A1*2"),
    price("", "missing_field"),
    Oddity(
        "decimal commas between semicolons",
        b"product_id;product_name;category;price\n1;Lamp;Home;9,99\n",
        ends(0, {2: "invalid_amount"}),
    ),
)
ORDER_CELLS = seeded(
    order("a status in capitals", b"7,1,2024-02-01,PAID,5.00", "invalid_status"),
    order("a status that nobody knows", b"7,1,2024-02-01,refunded,5.00", "invalid_status"),
    order("a status with a space", b"7,1,2024-02-01,paid ,5.00", "invalid_status"),
    order("an order of nothing", b"7,1,2024-02-01,pending,0"),
    order("a total below zero", b"7,1,2024-02-01,paid,-5.00", "negative_amount"),
    order("an order of nobody", b"7,,2024-02-01,paid,5.00", "missing_field"),
    order("an order of user zero", b"7,0,2024-02-01,paid,5.00", "invalid_id"),
    order(
        "an order of today, a second too far ahead",
        b"7,1,2026-03-02T12:00:11Z,paid,5.00",
        "invalid_timestamp",
    ),
    Oddity("an order whose user is not there", ORDERS + b"7,99,2024-02-01,paid,5.00\n", ends(parked=1)),
    Oddity(
        "an order that comes twice",
        ORDERS + b"7,1,2024-02-01,paid,5.00\n7,1,2024-02-01,paid,5.00\n",
        ends(1, {3: "duplicate_key"}),
    ),
)
ITEM_CELLS = seeded(
    item("an item of none", b"1,1,1,0,9.99"),
    item("fewer than none", b"1,1,1,-1,9.99", "negative_amount"),
    item("one and a half", b"1,1,1,1.5,9.99", "invalid_number"),
    item("a quantity with a unit", b"1,1,1,2 pcs,9.99", "invalid_number"),
    item("a quantity with a sign", b"1,1,1,+2,9.99", "invalid_number"),
    item("more than a number holds", b"1,1,1,9223372036854775808,9.99", "invalid_number"),
    item("a price of a tenth of a cent", b"1,1,1,1,9.999", "invalid_amount"),
    item("a price below zero", b"1,1,1,1,-9.99", "negative_amount"),
    Oddity("an item whose order is not there", ITEMS + b"1,99,1,1,9.99\n", ends(parked=1)),
    Oddity("an item whose product is not there", ITEMS + b"1,1,99,1,9.99\n", ends(parked=1)),
    Oddity("an item whose order and product are not there", ITEMS + b"1,98,99,1,9.99\n", ends(parked=1)),
    Oddity(
        "one item id in two orders of a file",
        ITEMS + b"1,1,1,1,9.99\n1,2,1,1,9.99\n",
        ends(1, {3: "duplicate_key"}),
    ),
    Oddity(
        "an item id again, where the first row was refused",
        ITEMS + b"1,1,1,-1,9.99\n1,1,1,1,9.99\n",
        ends(1, {2: "negative_amount"}),
    ),
)
EVENT_CELLS = seeded(
    event("an event without a product", b"web-1,1,page_view,,2024-02-01T10:00:00Z"),
    event("an event without an id", b",1,page_view,1,2024-02-01T10:00:00Z"),
    event("an event id that is a UUID", b"0190163d-8694-7394-8a1c-1d2d3b2c5a11,1,page_view,1,2024-02-01"),
    event("an event id of 321 characters", b"x" * 321 + b",1,page_view,1,2024-02-01", "invalid_id"),
    event("a type in capitals", b"web-1,1,Page_View,1,2024-02-01", "invalid_event_type"),
    event("a type that is empty", b"web-1,1,,1,2024-02-01", "missing_field"),
    event("a user that is no number", b"web-1,ann,page_view,1,2024-02-01", "invalid_id"),
    event("a time of tomorrow and more", b"web-1,1,page_view,1,2026-03-02T12:00:11Z", "invalid_timestamp"),
    Oddity(
        "events without a column for ids",
        b"user_id,event_type,event_timestamp\n1,page_view,2024-02-01T10:00:00Z\n",
        ends(1),
    ),
    Oddity("an event whose user is not there", EVENTS + b"web-1,99,page_view,,2024-02-01\n", ends(parked=1)),
    Oddity(
        "an event whose product is not there", EVENTS + b"web-1,1,page_view,99,2024-02-01\n", ends(parked=1)
    ),
    Oddity(
        "events that are equal in every field",
        EVENTS + b",1,page_view,1,2024-02-01\n" * 3,
        ends(1, duplicate=2),
    ),
    Oddity(
        "events that are equal but for how the time is written",
        EVENTS + b",1,page_view,1,2024-02-01T10:00:00Z\n,1,page_view,1,2024-02-01T11:00:00+01:00\n",
        ends(1, duplicate=1),
    ),
    Oddity(
        "one event id with the same content",
        EVENTS + b"web-1,1,page_view,1,2024-02-01\n" * 2,
        ends(1, duplicate=1),
    ),
    Oddity(
        "one event id with another content",
        EVENTS + b"web-1,1,page_view,1,2024-02-01\nweb-1,1,purchase,1,2024-02-01\n",
        ends(1, {3: "id_conflict"}),
    ),
)
CELLS = (*USER_CELLS, *PRODUCT_CELLS, *ORDER_CELLS, *ITEM_CELLS, *EVENT_CELLS)
