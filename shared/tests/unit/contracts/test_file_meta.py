"""Which moment a file has by its folder's default, whatever its name and whatever time its file system keeps."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillstream.contracts.file_meta import AsOf, as_of_file, dates_in_name, read_defaults, read_meta
from tillstream.contracts.parsing import dump_json
from tillstream.contracts.rules import EARLIEST, UPDATE_AHEAD, Rules
from tillstream.testing.builders import ACCEPTED_AT
from tillstream.testing.strategies import json_values

pytestmark = pytest.mark.unit

RULES = Rules(ACCEPTED_AT, ZoneInfo("UTC"))
NS_PER_S = 1_000_000_000


@given(
    st.integers(-(2**63), 2**63 - 1)
    | st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1)).map(  # noqa: DTZ001 - made aware in the next line
        lambda moment: int(moment.replace(tzinfo=UTC).timestamp()) * NS_PER_S
    )
)
def test_a_time_of_change_is_a_moment_within_the_rules_or_a_sentence(modified_ns: int) -> None:
    moment = as_of_file(AsOf.MODIFIED, "orders.csv", modified_ns, RULES)
    is_within = (
        EARLIEST.timestamp() * NS_PER_S <= modified_ns <= (ACCEPTED_AT + UPDATE_AHEAD).timestamp() * NS_PER_S
    )
    if is_within:
        assert isinstance(moment, datetime)
        assert abs(moment.timestamp() - modified_ns / NS_PER_S) < 1e-5
    else:
        assert isinstance(moment, str)


# Signs of which dates are made, and what stands between them.
NEARLY_DATES = st.text("0123456789-_.x", max_size=30)


@given(NEARLY_DATES, st.dates(datetime(2000, 1, 1).date(), datetime(2099, 12, 31).date()))  # noqa: DTZ001
def test_a_date_among_other_things_is_found_or_the_name_has_others(around: str, day: datetime) -> None:
    for written in (day.isoformat(), day.strftime("%Y%m%d"), day.strftime("%Y_%m_%d")):
        assert day.isoformat() in dates_in_name(f"{around}x{written}x{around}")


@given(NEARLY_DATES)
def test_whatever_is_found_in_a_name_is_a_day(name: str) -> None:
    for found in dates_in_name(name):
        assert datetime.fromisoformat(found).date().isoformat() == found


@given(json_values())
def test_whatever_else_stands_beside_files_is_refused_in_a_sentence(value: object) -> None:
    written = dump_json(value)
    for read in (read_meta, read_defaults):
        assert isinstance(read(written, RULES), str) == (value != {})
        assert isinstance(read(written[:-1], RULES), str)
