"""The form of a file: separators, quotes, line ends, rows that are none, and cells of any size."""

from .corpus import (
    A_FILE_OF_USERS,
    ANN,
    BOB,
    HEADLESS,
    HEADLESS_USERS,
    LAMP,
    PRODUCTS,
    USERS,
    Oddity,
    archived,
    ends,
    fails,
)

TEN_MB = 10_000_000


def with_separator(separator: bytes) -> bytes:
    return (USERS + ANN + BOB).replace(b",", separator)


def named(name: bytes) -> bytes:
    """Two users, the first with this name."""
    return USERS + b"1," + name + b",ann@example.org,2024-01-05\n" + BOB


SEPARATORS = (
    Oddity("semicolons", with_separator(b";"), ends(2), texts=("Ann", "Bob")),
    Oddity("tabs", with_separator(b"\t"), ends(2), name="users.tsv", texts=("Ann", "Bob")),
    Oddity("bars", with_separator(b"|"), ends(2), texts=("Ann", "Bob")),
    Oddity(
        "a comma in a cell between semicolons",
        b"user_id;name;email;signup_date\n1;Lee, Ann;a@example.org;2024-01-05\n",
        ends(1),
        texts=("Lee, Ann",),
    ),
    Oddity("a comma within quotes", named(b'"Lee, Ann"'), ends(2), texts=("Lee, Ann", "Bob")),
    Oddity("a comma without quotes", named(b"Lee, Ann"), ends(1, {2: "ragged_row"})),
    Oddity(
        "a header with semicolons over rows with commas",
        USERS.replace(b",", b";") + ANN,
        ends(0, {2: "ragged_row"}),
    ),
    Oddity("spaces for a separator", with_separator(b" "), fails(HEADLESS)),
    Oddity(
        "two separators in the header",
        b"user_id,name;email;signup_date\n" + ANN,
        fails(
            f"unknown_header: found the columns 'user_id,name', 'email', 'signup_date'; {A_FILE_OF_USERS}; missing: 'user_id', 'name'; unknown: 'user_id,name'"
        ),
    ),
    Oddity(
        "the line by which a spreadsheet is told the separator",
        b"sep=;\n" + with_separator(b";"),
        fails(HEADLESS),
    ),
    Oddity(
        "a separator at the end of every row",
        (USERS + ANN).replace(b"\n", b",\n"),
        fails(
            f"unknown_header: found the columns 'user_id', 'name', 'email', 'signup_date', ''; {A_FILE_OF_USERS}; unknown: ''"
        ),
    ),
    Oddity(
        "a separator at the end of one row",
        USERS + ANN.replace(b"\n", b",\n") + BOB,
        ends(1, {2: "ragged_row"}),
    ),
    Oddity("a space after every separator", USERS + ANN.replace(b",", b", "), ends(0, {2: "invalid_email"})),
)
QUOTES = (
    Oddity(
        "quotes around everything",
        b'"user_id","name","email","signup_date"\n"1","Ann","ann@example.org","2024-01-05"\n',
        ends(1),
        texts=("Ann",),
    ),
    Oddity("doubled quotes", named(b'"Ann ""A"" Lee"'), ends(2), texts=('Ann "A" Lee', "Bob")),
    Oddity("nothing but two doubled quotes", named(b'""""""'), ends(2), texts=('""', "Bob")),
    Oddity("a quote within a plain cell", named(b'Ann 5" Lee'), ends(2), texts=('Ann 5" Lee', "Bob")),
    Oddity("a space before the quote", named(b' "Ann"'), ends(2), texts=(' "Ann"', "Bob")),
    Oddity("text after the closing quote", named(b'"Ann" Lee'), ends(1, {2: "ragged_row"})),
    Oddity("a backslash before a quote", named(b'"Ann \\"A\\" Lee"'), ends(1, {2: "ragged_row"})),
    Oddity("apostrophes around a comma", named(b"'Lee, Ann'"), ends(1, {2: "ragged_row"})),
    Oddity("curly quotes", named("“Ann”".encode()), ends(2), texts=("“Ann”", "Bob")),
    Oddity("an empty cell in quotes", named(b'""'), ends(1, {2: "missing_field"})),
    Oddity(
        "a line end within quotes, and the next row on its right line",
        named(b'"Ann\nLee"') + b"3,Cas\n",
        ends(1, {2: "invalid_text", 5: "ragged_row"}),
        texts=("Bob",),
    ),
    Oddity(
        "CRLF, CR and LF within quotes",
        named(b'"a\r\nb\rc\nd"') + b"3\n",
        ends(1, {2: "invalid_text", 7: "ragged_row"}),
    ),
    Oddity(
        "a quote that is never closed swallows one line",
        named(b'"Ann'),
        ends(1, {2: "ragged_row"}),
        texts=("Bob",),
    ),
    Oddity(
        "a quote that is never closed in the last row",
        USERS + ANN + b'2,"Bob,bob@example.org,2024-01-06',
        ends(1, {3: "ragged_row"}),
        texts=("Ann",),
    ),
    Oddity("a quote alone on a line", USERS + ANN + b'"\n' + BOB, ends(2, {3: "ragged_row"})),
    Oddity(
        "two stray quotes, three rows apart, which make one row that is kept whole",
        USERS + b'1,"Ann,a@example.org,2024-01-05\n' + BOB + b'3,Cas",c@example.org,2024-01-05\n',
        ends(0, {2: "invalid_text"}),
    ),
    Oddity(
        "a quote that closes where a later one opens makes one row of three lines",
        USERS + b'1,"Ann,a@example.org,2024-01-05\n' + BOB + b'3,",c@example.org,2024-01-05\n',
        ends(0, {2: "invalid_text"}),
    ),
)
LINES = (
    Oddity("CRLF", (USERS + ANN + BOB).replace(b"\n", b"\r\n"), ends(2), texts=("Ann", "Bob")),
    Oddity("CR", (USERS + ANN + BOB).replace(b"\n", b"\r"), ends(2), texts=("Ann", "Bob")),
    Oddity(
        "all three, mixed",
        USERS.replace(b"\n", b"\r") + ANN.replace(b"\n", b"\r\n") + BOB + b"3,Cas\r",
        ends(2, {4: "ragged_row"}),
    ),
    Oddity("LF and then CR", (USERS + ANN + BOB).replace(b"\n", b"\n\r"), ends(2)),
    Oddity(
        "two CRs and an LF", (USERS + ANN + b"2,Bob\n").replace(b"\n", b"\r\r\n"), ends(1, {5: "ragged_row"})
    ),
    Oddity("no line end at the end", (USERS + ANN + BOB).rstrip(b"\n"), ends(2)),
    Oddity("a lone CR at the end", USERS + ANN.rstrip(b"\n") + b"\r", ends(1)),
    Oddity(
        "a lone CR within a plain cell ends a line",
        named(b"An\rn"),
        ends(1, {2: "ragged_row", 3: "ragged_row"}),
    ),
    Oddity("a vertical tab and a form feed end no line", named(b"A\x0bn\x0cn"), ends(1, {2: "invalid_text"})),
    Oddity("a header that ends with the file", USERS.rstrip(b"\n"), ends()),
    Oddity("a header alone", USERS, ends()),
    Oddity("a header and blank lines", USERS + b"\n\r\n\r", ends()),
    Oddity(
        "blank lines before, between and after",
        b"\n\r\n" + USERS + b"\n" + ANN + b"\n\n" + b"2,Bob\n" + b"\n",
        ends(1, {8: "ragged_row"}),
    ),
    Oddity("an empty file", b"", fails("empty_file: the file has no header row")),
    Oddity("nothing but line ends", b"\n\n\r\n", fails("empty_file: the file has no header row")),
    Oddity("a line of spaces", USERS + ANN + b"    \n" + BOB, ends(2, {3: "ragged_row"})),
    Oddity("a line of separators", USERS + ANN + b",,,\n" + BOB, ends(2, {3: "missing_field"})),
    Oddity(
        "the end mark of COPY alone on a line",
        USERS + ANN + b"\\.\n" + BOB,
        ends(2, {3: "ragged_row"}),
        texts=("Ann", "Bob"),
    ),
    Oddity("the end mark of COPY as the last line", USERS + ANN + b"\\.\n", ends(1, {3: "ragged_row"})),
    Oddity("the null mark of COPY as a name is a name", named(b"\\N"), ends(2), texts=("\\N", "Bob")),
    Oddity("the end mark of DOS", USERS + ANN + b"\x1a", ends(1, {3: "ragged_row"})),
    Oddity("a comment", USERS + b"# exported on Monday\n" + ANN, ends(1, {2: "ragged_row"})),
    Oddity("a row of totals", USERS + ANN + b"Total,1\n", ends(1, {3: "ragged_row"})),
    Oddity("the header once more in the middle", USERS + ANN + USERS + BOB, ends(2, {3: "invalid_id"})),
    Oddity("a row with too few cells", USERS + b"1,Ann\n" + BOB, ends(1, {2: "ragged_row"})),
    Oddity(
        "a row with too many cells", USERS + ANN.replace(b"\n", b",x\n") + BOB, ends(1, {2: "ragged_row"})
    ),
    Oddity("NUL in a cell", named(b"A\0n"), ends(1, {2: "invalid_text"}), texts=("Bob",)),
    Oddity("NUL alone on a line", USERS + ANN + b"\0\n" + BOB, ends(2, {3: "invalid_text"})),
    Oddity("a disk's zeros at the end", USERS + ANN + b"\0" * 512, ends(1, {3: "invalid_text"})),
    Oddity("a bell in a cell", named(b"A\x07n"), ends(1, {2: "invalid_text"})),
    Oddity("an escape of a terminal in a cell", named(b"\x1b[31mAnn"), ends(1, {2: "invalid_text"})),
)
SIZES = (
    Oddity(
        "a cell of ten megabytes",
        lambda: named(b"x" * TEN_MB),
        ends(1, {2: "record_too_large"}),
        texts=("Bob",),
    ),
    Oddity(
        "a quoted cell of ten megabytes",
        lambda: named(b'"' + b"x" * TEN_MB + b'"'),
        ends(1, {2: "record_too_large"}),
        texts=("Bob",),
    ),
    Oddity(
        "a cell of ten megabytes at the end",
        lambda: USERS + ANN + b"2," + b"x" * TEN_MB,
        ends(1, {3: "record_too_large"}),
    ),
    Oddity(
        "ten megabytes of UTF-16 in a cell",
        lambda: b"\xff\xfe" + named(b"x" * (TEN_MB // 2)).decode().encode("utf-16-le"),
        ends(1, {2: "record_too_large"}),
        texts=("Bob",),
    ),
    Oddity(
        "a line of nineteen megabytes",
        lambda: named(b"x" * (TEN_MB + 9_000_000)),
        fails("line_too_long: line 2 has no end within 16777216 bytes; this is no CSV file"),
    ),
    Oddity("a cell of 320 characters", named("ë".encode() * 320), ends(2), texts=("ë" * 320, "Bob")),
    Oddity("a cell of 321 characters", named(b"x" * 321), ends(1, {2: "invalid_text"})),
    Oddity(
        "quotes that close after a hundred thousand bytes",
        lambda: USERS + b'1,"' + b"x" * 100_000 + b'\n",a@example.org,2024-01-05\n' + BOB,
        ends(1, {2: "record_too_large", 3: "ragged_row"}),
    ),
    Oddity("ten thousand cells", lambda: USERS + b"," * 9_999 + b"\n" + BOB, ends(1, {2: "ragged_row"})),
    Oddity("a thousand blank lines", USERS + b"\n" * 1_000 + ANN + b"2\n", ends(1, {1_003: "ragged_row"})),
)
NO_CSV = (
    Oddity("a text", b"Dear shop,\nsee below.\n", archived(2), name="letter.txt"),
    Oddity("a text that looks like users", USERS + ANN, archived(2), name="users.txt"),
    Oddity("a text in UTF-32", b"\xff\xfe\0\0" + "a\nb".encode("utf-32-le"), archived(2), name="letter.txt"),
    Oddity("a picture", b"\x89PNG\r\n\x1a\n\0\0\0", archived(3), name="lamp.png"),
    Oddity("users under an odd name", USERS + ANN, ends(1), name="export.2024", texts=("Ann",)),
    Oddity(
        "a workbook that was renamed",
        b"PK\x03\x04\x14\0\x06\0\x08\0\0\0!\0",
        fails(
            "archive_refused: it is a zip archive or an Office workbook; send the CSV file itself, as it is or packed by gzip"
        ),
        name="users.csv",
    ),
    Oddity(
        "a page instead of an export",
        b"<!doctype html>\n<title>Log in</title>\n",
        fails(
            "unknown_header: its first line has none of the known column names; a file of products has 'product_id', 'product_name', 'category', 'price' and perhaps 'updated_at'"
        ),
        name="products.csv",
    ),
    Oddity(
        "JSON",
        b'[{"user_id": 1, "name": "Ann"}]\n',
        fails(HEADLESS_USERS),
        name="users.csv",
    ),
    Oddity("capitals in the suffix", PRODUCTS + LAMP, ends(1), name="PRODUCTS.CSV", texts=("Lamp",)),
)
FORMS = (*SEPARATORS, *QUOTES, *LINES, *SIZES, *NO_CSV)
