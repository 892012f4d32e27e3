from datetime import UTC, datetime

import pytest

from tillstream.cli.printing import printable, table

pytestmark = pytest.mark.unit


def test_columns_are_as_wide_as_their_cells_and_numbers_stand_to_the_right() -> None:
    rows = [(5, "a", datetime(2024, 6, 1, 12, tzinfo=UTC)), (1_000, "long one", None)]
    assert table(("count", "name", "at"), rows).splitlines() == [
        "count  name      at",
        "    5  a         2024-06-01T12:00:00Z",
        " 1000  long one  -",
    ]


def test_a_strangers_text_moves_no_cursor() -> None:
    assert printable("\x1b[2J\x9b\u202eé\n") == "\\x1b[2J\\x9b\\u202eé\n"
    assert table(("a",), [("x\ny",)]) == "a\nx\\ny"
