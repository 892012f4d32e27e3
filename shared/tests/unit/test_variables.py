"""What is said of variables that nobody knows."""

import pytest

from tillstream.variables import known_variables, misspelt

pytestmark = pytest.mark.unit


def test_variables_of_every_process_are_known() -> None:
    of_each = {"INGEST_PORT", "BATCH_RECORDS", "FILE_PARALLEL", "QUERY_WAIT_MS", "FILE_SCAN_S"}
    of_commands = {"OWNER_DATABASE_URL", "OWNER_DATABASE_URL_FILE", "ENV"}
    assert {f"TILLSTREAM_{each}" for each in of_each | of_commands} <= known_variables()


def test_a_misspelt_setting_is_told_of_with_the_one_that_is_meant() -> None:
    right = ["TILLSTREAM_BATCH_RECORDS", "TILLSTREAM_DATABASE_URL_FILE", "TILLSTREAM_ENV", "PATH"]
    assert misspelt(right) == []
    said = misspelt([*right, "TILLSTREAM_BATCH_RECORD", "TILLSTREAM_ZZZ"])
    assert said == [
        "No process knows TILLSTREAM_BATCH_RECORD, and nothing heeds it: is TILLSTREAM_BATCH_RECORDS meant?",
        "No process knows TILLSTREAM_ZZZ, and nothing heeds it.",
    ]


def test_a_name_that_is_heeded_in_small_letters_is_not_told_of() -> None:
    assert misspelt(["tillstream_ops_port"]) == []
    assert misspelt(["tillstream_op_port"]) == [
        "No process knows tillstream_op_port, and nothing heeds it: is TILLSTREAM_OPS_PORT meant?"
    ]
