"""Headers: names in any order and case tell the kind; anything else fails the file with what was found and expected."""

from .corpus import A_FILE_OF_USERS, ANN, BOB, HEADLESS, HEADLESS_USERS, USERS, Oddity, ends, fails

HEADERS = (
    Oddity(
        "names in another order",
        b"email,signup_date,user_id,name\nann@example.org,2024-01-05,1,Ann\n",
        ends(1),
        texts=("Ann",),
    ),
    Oddity("names in capitals", USERS.upper() + ANN, ends(1)),
    Oddity("names with capitals", b"User_Id,Name,eMail,Signup_Date\n" + ANN, ends(1)),
    Oddity("names in quotes", b'"user_id",name,"email",signup_date\n' + ANN, ends(1)),
    Oddity(
        "an optional column",
        USERS.replace(b"\n", b",updated_at\n") + ANN.replace(b"\n", b",2024-01-06T00:00:00Z\n"),
        ends(1),
    ),
    Oddity("an optional column in front, and empty", b"updated_at," + USERS + b"," + ANN, ends(1)),
    Oddity(
        "a column that nobody knows",
        USERS.replace(b"\n", b",phone\n") + ANN.replace(b"\n", b",1\n"),
        fails(
            f"unknown_header: found the columns 'user_id', 'name', 'email', 'signup_date', 'phone'; {A_FILE_OF_USERS}; unknown: 'phone'"
        ),
    ),
    Oddity(
        "a column that is missing",
        b"user_id,name,email\n1,Ann,ann@example.org\n",
        fails(
            f"unknown_header: found the columns 'user_id', 'name', 'email'; {A_FILE_OF_USERS}; missing: 'signup_date'"
        ),
    ),
    Oddity(
        "a column that is misspelt",
        USERS.replace(b"email", b"e-mail") + ANN,
        fails(
            f"unknown_header: found the columns 'user_id', 'name', 'e-mail', 'signup_date'; {A_FILE_OF_USERS}; missing: 'email'; unknown: 'e-mail'"
        ),
    ),
    Oddity(
        "a column that comes twice",
        b"user_id,name,email,signup_date,name\n1,Ann,ann@example.org,2024-01-05,Ann\n",
        fails("duplicate_column: the header names 'name' more than once"),
    ),
    Oddity(
        "a column that comes twice, once in capitals",
        b"user_id,name,email,signup_date,NAME\n1,Ann,ann@example.org,2024-01-05,Ann\n",
        fails("duplicate_column: the header names 'name' more than once"),
    ),
    Oddity(
        "spaces around names",
        b"user_id , name, email, signup_date\n" + ANN,
        fails(
            f"unknown_header: found the columns 'user_id ', ' name', ' email', ' signup_date'; {A_FILE_OF_USERS}; missing: 'user_id', 'name', 'email', 'signup_date'; unknown: 'user_id ', ' name', ' email', ' signup_date'"
        ),
    ),
    Oddity(
        "a space within a name",
        USERS.replace(b"_", b" ") + ANN,
        fails(
            f"unknown_header: found the columns 'user id', 'name', 'email', 'signup date'; {A_FILE_OF_USERS}; missing: 'user_id', 'signup_date'; unknown: 'user id', 'signup date'"
        ),
    ),
    Oddity(
        "a column without a name",
        b"user_id,name,email,signup_date,\n" + ANN,
        fails(
            f"unknown_header: found the columns 'user_id', 'name', 'email', 'signup_date', ''; {A_FILE_OF_USERS}; unknown: ''"
        ),
    ),
    Oddity(
        "names in another language",
        b"Nummer,Name,E-Mail,Anmeldung\n" + ANN,
        fails(
            f"unknown_header: found the columns 'nummer', 'name', 'e-mail', 'anmeldung'; {A_FILE_OF_USERS}; missing: 'user_id', 'email', 'signup_date'; unknown: 'nummer', 'e-mail', 'anmeldung'"
        ),
    ),
    Oddity("no header", ANN + BOB, fails(HEADLESS_USERS), name="users.csv"),
    Oddity("no header and no telling name", ANN + BOB, fails(HEADLESS)),
    Oddity("a title above the header", b"Users of January\n" + USERS + ANN, fails(HEADLESS)),
    Oddity(
        "products under the name of users",
        b"product_id,product_name,category,price\n1,Lamp,Home,9.99\n",
        ends(1),
        name="users.csv",
        texts=("Lamp",),
    ),
    Oddity(
        "the columns of two kinds",
        b"user_id,name,email,signup_date,price\n" + ANN,
        fails(
            f"unknown_header: found the columns 'user_id', 'name', 'email', 'signup_date', 'price'; {A_FILE_OF_USERS}; unknown: 'price'"
        ),
    ),
    Oddity(
        "the items of an order as a column",
        b"order_id,user_id,order_date,status,total_amount,items\n",
        fails(
            "unknown_header: found the columns 'order_id', 'user_id', 'order_date', 'status', 'total_amount', 'items'; a file of orders has 'order_id', 'user_id', 'order_date', 'status', 'total_amount' and perhaps 'updated_at'; unknown: 'items'"
        ),
    ),
    Oddity(
        "a header whose quote is not closed",
        b'user_id,"name,email,signup_date\n' + ANN,
        fails("unreadable_header: the header row is not UTF-8 text with closed quotes"),
    ),
    Oddity(
        "a header that is not UTF-8",
        b"user_id,name,email,signup_date,\xe9\n" + ANN,
        fails("unreadable_header: the header row is not UTF-8 text with closed quotes"),
    ),
    Oddity(
        "a header with NUL",
        b"user_id,name\0,email,signup_date\n" + ANN,
        fails("unreadable_header: the header row is not UTF-8 text with closed quotes"),
    ),
    Oddity(
        "letters that only look like these",
        "user_id,nаme,email,signup_date\n".encode() + ANN,
        fails(
            f"unknown_header: found the columns 'user_id', 'n\\u0430me', 'email', 'signup_date'; {A_FILE_OF_USERS}; missing: 'name'; unknown: 'n\\u0430me'"
        ),
    ),
    Oddity(
        "a capital whose small letter is another one",
        "user_\u0130d,name,email,signup_date\n".encode() + ANN,
        fails(
            f"unknown_header: found the columns 'user_i\\u0307d', 'name', 'email', 'signup_date'; {A_FILE_OF_USERS}; missing: 'user_id'; unknown: 'user_i\\u0307d'"
        ),
    ),
    Oddity(
        "two thousand columns",
        USERS.replace(b"\n", b",x" * 2_000 + b"\n"),
        fails("duplicate_column: the header names 'x' more than once"),
    ),
    Oddity(
        "the columns of a rejects file over no rows of one",
        b"line,reason,message,message_id,version,user_id,name,email,signup_date\n2,x,y,z,v0,1,Ann,ann@example.org,2024-01-05\n",
        ends(0, {2: "invalid_record"}),
    ),
)
