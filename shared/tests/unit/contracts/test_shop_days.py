"""A shop day begins at the first instant of its date in the shop's zone."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillstream.contracts.rules import read_time
from tillstream.contracts.shop_days import start_of_day
from tillstream.testing.strategies import QUICK

pytestmark = pytest.mark.unit

ZONES = [
    "UTC", "America/New_York", "America/Sao_Paulo", "America/St_Johns", "Asia/Kathmandu", "Asia/Beirut", "Africa/Cairo",
    "America/Havana", "Atlantic/Azores", "Australia/Lord_Howe", "Pacific/Apia", "America/Scoresbysund",
]  # fmt: skip


@pytest.mark.parametrize(
    ("day", "zone", "start"),
    [
        ("2024-01-05", "UTC", "2024-01-05T00:00:00"),
        ("2024-01-05", "Asia/Kathmandu", "2024-01-04T18:15:00"),
        ("2024-07-05", "America/New_York", "2024-07-05T04:00:00"),
        # Clocks jump from 00:00 to 01:00: the day begins with the jump.
        ("2018-11-04", "America/Sao_Paulo", "2018-11-04T03:00:00"),
        ("2024-03-31", "Asia/Beirut", "2024-03-30T22:00:00"),
        ("2024-04-26", "Africa/Cairo", "2024-04-25T22:00:00"),
        # Clocks go back from 01:00 to 00:00: midnight comes twice, and the first one counts.
        ("2024-11-03", "America/Havana", "2024-11-03T04:00:00"),
        # Clocks go back from 00:01 of this day to 23:01 of the day before: its first minute counts.
        ("2007-11-04", "America/St_Johns", "2007-11-04T02:30:00"),
        # The island moved across the date line; the day before its jump is the one that never was.
        ("2011-12-31", "Pacific/Apia", "2011-12-30T10:00:00"),
        ("2011-12-30", "Pacific/Apia", "2011-12-30T10:00:00"),
    ],
)
def test_day_begins_here(day: str, zone: str, start: str) -> None:
    expected = datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert start_of_day(date.fromisoformat(day), ZoneInfo(zone)) == expected
    assert read_time(day, ZoneInfo(zone)) == expected


@pytest.mark.parametrize("name", ZONES)
@QUICK
@given(day=st.dates(date(2000, 1, 1), date(2037, 12, 31)))
def test_instant_before_the_start_belongs_to_an_earlier_day(name: str, day: date) -> None:
    zone = ZoneInfo(name)
    start = start_of_day(day, zone)
    assert start.astimezone(zone).date() >= day
    assert (start - timedelta(microseconds=1)).astimezone(zone).date() < day


def test_jump_over_midnight_that_does_not_begin_at_midnight_is_found() -> None:
    zone = ZoneInfo("America/Toronto")  # on this day of 1919 clocks jumped from 23:30 to 00:30
    start = start_of_day(date(1919, 3, 31), zone)
    assert start == datetime(1919, 3, 31, 4, 30, tzinfo=UTC)
