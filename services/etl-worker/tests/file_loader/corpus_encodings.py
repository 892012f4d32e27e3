"""Encodings: a file says which it is in, or is UTF-8, or was declared; what does not fit is refused, never guessed."""

from tillstream.csv.encoding import Encoding

from .corpus import A_FILE_OF_USERS, ANN, HEADLESS, USERS, Oddity, ends, fails

UTF_8_MARK = b"\xef\xbb\xbf"
TABBED = USERS.replace(b",", b"\t").replace(b"\n", b"\r\n").decode()
HEAD = USERS.decode()
ZOE = "1,Zoë,zoe@example.org,2024-01-05\n"
SURE, WHOLE, ASSUMED = "byte_order_mark", "whole_file", "assumed"


def named(name: bytes) -> bytes:
    """Two users, the first with this name."""
    return USERS + b"1," + name + b",zoe@example.org,2024-01-05\n2,Bob,bob@example.org,2024-01-06\n"


ENCODINGS = (
    Oddity("plain ASCII", USERS + ANN, ends(1), encoding=f"utf-8 {WHOLE}", texts=("Ann",)),
    Oddity(
        "a UTF-8 mark",
        UTF_8_MARK + named("Zoë".encode()),
        ends(2),
        encoding=f"utf-8 {SURE}",
        texts=("Zoë", "Bob"),
    ),
    Oddity(
        "UTF-8 without a mark",
        named("Zoë".encode()),
        ends(2),
        encoding=f"utf-8 {WHOLE}",
        texts=("Zoë", "Bob"),
    ),
    Oddity(
        "a UTF-8 mark and a row of latin-1",
        UTF_8_MARK + named(b"Zo\xeb"),
        ends(1, {2: "invalid_text"}),
        encoding=f"utf-8 {SURE}",
    ),
    Oddity("a mark and a header", UTF_8_MARK + USERS, ends(), encoding=f"utf-8 {SURE}"),
    Oddity("nothing but a mark", UTF_8_MARK, fails("empty_file: the file has no header row")),
    Oddity(
        "two marks",
        UTF_8_MARK * 2 + USERS + ANN,
        fails(
            f"unknown_header: found the columns '\\ufeffuser_id', 'name', 'email', 'signup_date'; {A_FILE_OF_USERS}; missing: 'user_id'; unknown: '\\ufeffuser_id'"
        ),
    ),
    Oddity(
        "two files with marks, one after the other",
        UTF_8_MARK + USERS + ANN + UTF_8_MARK + USERS,
        ends(1, {3: "invalid_id"}),
    ),
    Oddity(
        "UTF-16 LE with its mark",
        b"\xff\xfe" + (HEAD + ZOE).encode("utf-16-le"),
        ends(1),
        encoding=f"utf-16-le {SURE}",
        texts=("Zoë",),
    ),
    Oddity(
        "UTF-16 BE with its mark",
        b"\xfe\xff" + (HEAD + ZOE).encode("utf-16-be"),
        ends(1),
        encoding=f"utf-16-be {SURE}",
        texts=("Zoë",),
    ),
    Oddity(
        "UTF-16 LE without a mark",
        (HEAD + ZOE).encode("utf-16-le"),
        ends(1),
        encoding="utf-16-le detected",
        texts=("Zoë",),
    ),
    Oddity(
        "UTF-16 BE without a mark",
        (HEAD + ZOE).encode("utf-16-be"),
        ends(1),
        encoding="utf-16-be detected",
        texts=("Zoë",),
    ),
    Oddity(
        "what a spreadsheet saves as Unicode text",
        b"\xff\xfe" + (TABBED + '1\t"Zoë ""Z"" Ω"\tzoe@example.org\t2024-01-05\r\n').encode("utf-16-le"),
        ends(1),
        name="users.tsv",
        encoding=f"utf-16-le {SURE}",
        texts=('Zoë "Z" Ω',),
    ),
    Oddity(
        "UTF-16 whose letters are made of the bytes of commas, quotes and line ends",
        b"\xff\xfe" + (HEAD + "1,\u2c2c\u2222\u0d0a\u0a0d,zoe@example.org,2024-01-05\n").encode("utf-16-le"),
        ends(1),
        encoding=f"utf-16-le {SURE}",
        texts=("\u2c2c\u2222\u0d0a\u0a0d",),
    ),
    Oddity(
        "UTF-16 with a line end in a cell, a bad row and an emoji",
        b"\xfe\xff"
        + (HEAD + '1,"Zoë\nB",z@example.org,2024-01-05\n2,Ann\n3,🎉,c@example.org,2024-01-05\n').encode(
            "utf-16-be"
        ),
        ends(1, {2: "invalid_text", 4: "ragged_row"}),
        encoding=f"utf-16-be {SURE}",
        texts=("🎉",),
    ),
    Oddity(
        "UTF-16 with half a surrogate pair",
        b"\xff\xfe"
        + HEAD.encode("utf-16-le")
        + "1,Zo\ud83d,z@example.org,2024-01-05\n".encode("utf-16-le", "surrogatepass")
        + "2,Bob,b@example.org,2024-01-05\n".encode("utf-16-le"),
        ends(1, {2: "invalid_text"}),
        texts=("Bob",),
    ),
    Oddity(
        "UTF-16 that was cut off in a character",
        b"\xff\xfe" + (HEAD + ZOE).encode("utf-16-le")[:-1],
        fails("cut_off: a file in UTF-16-LE has an even number of bytes, and this one has not"),
    ),
    Oddity(
        "UTF-16 with a mark of the wrong order",
        b"\xfe\xff" + (HEAD + ZOE).encode("utf-16-le"),
        fails(HEADLESS),
    ),
    Oddity(
        "UTF-32 LE",
        b"\xff\xfe\0\0" + (HEAD + ZOE).encode("utf-32-le"),
        fails("unreadable_encoding: the file is in UTF-32; save it as UTF-8"),
    ),
    Oddity(
        "UTF-32 BE",
        b"\0\0\xfe\xff" + (HEAD + ZOE).encode("utf-32-be"),
        fails("unreadable_encoding: the file is in UTF-32; save it as UTF-8"),
    ),
    Oddity(
        "latin-1 that nobody declared",
        named(b"Zo\xeb"),
        ends(1, {2: "invalid_text"}),
        encoding=f"utf-8 {ASSUMED}",
        texts=("Bob",),
    ),
    Oddity(
        "windows-1252 that nobody declared",
        named(b"\x93Zoe\x94 \x80"),
        ends(1, {2: "invalid_text"}),
        encoding=f"utf-8 {ASSUMED}",
        texts=("Bob",),
    ),
    Oddity(
        "windows-1252 as declared",
        named(b"\x93Zo\xeb\x94 \x80"),
        ends(2),
        declared=Encoding.WINDOWS_1252,
        encoding="windows-1252 declared",
        texts=("“Zoë” €", "Bob"),
    ),
    Oddity(
        "windows-1251 as declared",
        named(b"\xc8\xe2\xe0\xed"),
        ends(2),
        declared=Encoding.WINDOWS_1251,
        encoding="windows-1251 declared",
        texts=("Иван", "Bob"),
    ),
    Oddity(
        "iso-8859-2 as declared",
        named(b"Dvo\xf8\xe1k"),
        ends(2),
        declared=Encoding.ISO_8859_2,
        encoding="iso-8859-2 declared",
        texts=("Dvořák", "Bob"),
    ),
    Oddity(
        "UTF-8, whatever is declared",
        named("Zoë".encode()),
        ends(2),
        declared=Encoding.WINDOWS_1252,
        encoding=f"utf-8 {WHOLE}",
        texts=("Zoë", "Bob"),
    ),
    Oddity(
        "UTF-16, whatever is declared",
        b"\xff\xfe" + (HEAD + ZOE).encode("utf-16-le"),
        ends(1),
        declared=Encoding.WINDOWS_1252,
        encoding=f"utf-16-le {SURE}",
        texts=("Zoë",),
    ),
    Oddity(
        "UTF-8 and latin-1 in one file, whatever is declared",
        named(b"Zo\xeb") + "3,Cleménce,c@example.org,2024-01-05\n".encode(),
        ends(2, {2: "invalid_text"}),
        declared=Encoding.ISO_8859_1,
        encoding=f"utf-8 {ASSUMED}",
        texts=("Bob", "Cleménce"),
    ),
    Oddity(
        "a byte that means nothing in what was declared",
        named(b"Zo\x81"),
        ends(1, {2: "invalid_text"}),
        declared=Encoding.WINDOWS_1252,
        encoding="windows-1252 declared",
    ),
    Oddity(
        "a control character in what was declared",
        named(b"Zo\x85"),
        ends(1, {2: "invalid_text"}),
        declared=Encoding.ISO_8859_1,
    ),
    Oddity("an overlong form", named(b"Zo\xc0\xaf"), ends(1, {2: "invalid_text"})),
    Oddity(
        "surrogates written as UTF-8",
        named(b"\xed\xa0\xbc\xed\xbe\x89"),
        ends(1, {2: "invalid_text"}),
        texts=("Bob",),
    ),
    Oddity("beyond the last code point", named(b"\xf4\x90\x80\x80"), ends(1, {2: "invalid_text"})),
    Oddity(
        "half a character at the end of a cell",
        named(b"Zo\xc3"),
        ends(1, {2: "invalid_text"}),
        texts=("Bob",),
    ),
    Oddity(
        "half a character at the end of the file",
        USERS + ANN + b"2,B,b@example.org,2024-01-06\xc3",
        ends(1, {3: "invalid_text"}),
        encoding=f"utf-8 {ASSUMED}",
    ),
    Oddity(
        "Shift-JIS",
        named("山田".encode("shift-jis")),
        ends(1, {2: "invalid_text"}),
        encoding=f"utf-8 {ASSUMED}",
    ),
    Oddity(
        "GB18030", named("山田".encode("gb18030")), ends(1, {2: "invalid_text"}), encoding=f"utf-8 {ASSUMED}"
    ),
    Oddity(
        "EBCDIC",
        (HEAD + ZOE).encode("cp500"),
        fails("unreadable_header: the header row is not UTF-8 text with closed quotes"),
    ),
    Oddity("an emoji of several code points", named("👩‍🚀".encode()), ends(2), texts=("👩‍🚀", "Bob")),
    Oddity(
        "letters from right to left, with marks of direction",
        named("\u202eمريم\u202c".encode()),
        ends(2),
        texts=("\u202eمريم\u202c", "Bob"),
    ),
    Oddity(
        "accents of their own stay as they are", named(b"Zoe\xcc\x88"), ends(2), texts=("Zoe\u0308", "Bob")
    ),
    Oddity(
        "a line separator of Unicode ends no line",
        named("Zo\u2028e".encode()),
        ends(2),
        texts=("Zo\u2028e", "Bob"),
    ),
    Oddity(
        "a next-line control ends no line and is no text", named(b"Zo\xc2\x85e"), ends(1, {2: "invalid_text"})
    ),
    Oddity("a code point that is no character", named("\uffff".encode()), ends(2), texts=("\uffff", "Bob")),
    Oddity(
        "what stands for a character that was lost before",
        named("Zo\ufffd".encode()),
        ends(2),
        texts=("Zo\ufffd", "Bob"),
    ),
)
