"""What only the other rows of a file, or the tables, can tell: keys, addresses and versions."""

from .corpus import ANN, BOB, LAMP, ORDERS, PRODUCTS, USERS, Oddity, ends, seeded

DATED = USERS.replace(b"\n", b",updated_at\n")
FIVE = b"".join(b"%d,N,u%d@example.org,2024-01-05\n" % (n, n) for n in range(11, 16))


def dated(row: bytes, moment: bytes) -> bytes:
    return row.replace(b"\n", b"," + moment + b"\n")


WHOLE_FILES = (
    Oddity("a key twice with one content", USERS + ANN + ANN, ends(1, {3: "duplicate_key"})),
    Oddity(
        "a key twice with two contents, the first counts",
        USERS + ANN + ANN.replace(b"Ann", b"Zoe"),
        ends(1, {3: "duplicate_key"}),
        texts=("Ann",),
    ),
    Oddity(
        "a key twice, the later row newer",
        DATED + dated(ANN, b"2024-01-01") + dated(ANN.replace(b"Ann", b"Zoe"), b"2024-02-01"),
        ends(1, {3: "duplicate_key"}),
        texts=("Ann",),
    ),
    Oddity("a key three times", USERS + ANN * 3, ends(1, {3: "duplicate_key", 4: "duplicate_key"})),
    Oddity("a key again in a later chunk", USERS + ANN + FIVE + ANN, ends(6, {8: "duplicate_key"})),
    Oddity(
        "a key whose first row was refused",
        USERS + ANN.replace(b"@", b" at ") + ANN,
        ends(1, {2: "invalid_email"}),
        texts=("Ann",),
    ),
    Oddity(
        "a product twice", PRODUCTS + LAMP + LAMP.replace(b"9.99", b"8.99"), ends(1, {3: "duplicate_key"})
    ),
    Oddity("an address twice", USERS + ANN + ANN.replace(b"1,", b"3,", 1), ends(1, {3: "duplicate_email"})),
    Oddity(
        "an address twice, once in capitals",
        USERS + ANN + b"3,Zoe,ANN@Example.ORG,2024-01-05\n",
        ends(1, {3: "duplicate_email"}),
        texts=("Ann",),
    ),
    Oddity(
        "an address again in a later chunk",
        USERS + ANN + FIVE + ANN.replace(b"1,", b"3,", 1),
        ends(6, {8: "duplicate_email"}),
    ),
    Oddity(
        "an address that another user holds",
        USERS + ANN.replace(b"1,", b"3,", 1),
        ends(0, {2: "duplicate_email"}),
        before=(USERS + ANN,),
        texts=("Ann",),
    ),
    Oddity(
        "an address whose first row was refused",
        USERS + ANN.replace(b"2024-01-05", b"soon") + ANN.replace(b"1,", b"3,", 1),
        ends(1, {2: "invalid_timestamp"}),
    ),
    Oddity(
        "two users who change addresses",
        USERS + b"1,Ann,bob@example.org,2024-01-05\n2,Bob,ann@example.org,2024-01-06\n",
        ends(2),
        before=(USERS + ANN + BOB,),
    ),
    Oddity(
        "rows that are there already, and a new one",
        USERS + ANN + BOB,
        ends(1, unchanged=1),
        before=(USERS + ANN,),
    ),
    Oddity("a change", USERS + ANN.replace(b"Ann", b"Anna"), ends(1), before=(USERS + ANN,), texts=("Anna",)),
    Oddity(
        "a change that is older than what is there",
        DATED + dated(ANN.replace(b"Ann", b"Old"), b"2024-01-01"),
        ends(superseded=1),
        before=(DATED + dated(ANN, b"2024-02-01"),),
        texts=("Ann",),
    ),
    Oddity(
        "an update from the future",
        DATED + dated(ANN, b"2026-03-01T12:05:11Z"),
        ends(0, {2: "invalid_timestamp"}),
    ),
    Oddity("an update within five minutes", DATED + dated(ANN, b"2026-03-01T12:05:10Z"), ends(1)),
    *seeded(
        Oddity(
            "a change of an order, one that stays, one too old",
            ORDERS.replace(b"\n", b",updated_at\n")
            + b"1,1,2024-02-01T10:00:00Z,shipped,19.98,2026-03-01T12:00:00Z\n",
            ends(superseded=1),
        ),
        Oddity(
            "every outcome in one file",
            ORDERS
            + b"1,1,2024-02-01T10:00:00Z,paid,19.98\n2,2,2024-02-01,paid,5.00\n3,99,2024-02-01,paid,5.00\n4,1,2024-02-30,paid,5.00\n2,1,2024-02-01,paid,5.00\n",
            ends(1, {5: "invalid_timestamp", 6: "duplicate_key"}, unchanged=1, parked=1),
        ),
    ),
)
