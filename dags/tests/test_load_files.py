"""What the load makes of the answers of the two doors; they are played by a desk over HTTP."""

import os
import time
import tracemalloc
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.desk import KINDS, Answer, Desk
from support.native import SAMPLE

from tillstream_dags.doors import Doors, Json
from tillstream_dags.errors import Refused, Unavailable
from tillstream_dags.load_files import Limits, load_files

pytestmark = pytest.mark.unit

NAMES = list(KINDS)
AS_OF = datetime(2024, 2, 1, tzinfo=UTC)
LATER = datetime(2024, 2, 2, tzinfo=UTC)
WITHIN_S = 20.0
SOON_S = 0.4
NO_LIMITS: Mapping[str, float] = {}
BIG_BYTES = 64 * 1024 * 1024
MEMORY_BYTES = 8 * 1024 * 1024

type Naps = tuple[list[float], Callable[[float], None]]


def no_nap(_seconds: float) -> None:
    """Asks again at once."""


def load(
    desk: Desk,
    raw: Path,
    as_of: datetime = AS_OF,
    nap: Callable[[float], None] = no_nap,
    limits: Mapping[str, float] = NO_LIMITS,
) -> list[Json]:
    given = {"rejected_percent": 10.0, "parked_percent": 10.0, "within_s": WITHIN_S, **limits}
    with Doors(desk.url, desk.url, nap) as doors:
        return load_files(raw, as_of, doors, Limits(**given), nap)


@pytest.fixture
def raw(data_dir: Path) -> Path:
    """The sample, written after the moment that the tests declare."""
    return data_dir / "raw"


def test_the_five_files_are_sent_parents_first_and_declared_as_of_the_runs_moment(
    desk: Desk, raw: Path
) -> None:
    jobs = load(desk, raw)

    assert [taken.name for taken in desk.uploads] == NAMES
    assert {taken.as_of for taken in desk.uploads} == {"2024-02-01T00:00:00+00:00"}
    assert [taken.bytes for taken in desk.uploads] == [(SAMPLE / name).stat().st_size for name in NAMES]
    assert [job["file_name"] for job in jobs] == NAMES


def test_a_file_that_was_written_before_describes_the_moment_of_its_writing(desk: Desk, raw: Path) -> None:
    written = datetime(2024, 1, 31, 23, 0, tzinfo=UTC).timestamp()
    os.utime(raw / "orders.csv", (written, written))

    load(desk, raw)

    assert {taken.name: taken.as_of for taken in desk.uploads}["orders.csv"] == "2024-01-31T23:00:00+00:00"


def test_a_time_of_writing_that_is_none_counts_for_nothing(desk: Desk, raw: Path) -> None:
    os.utime(raw / "orders.csv", (1, 1))

    load(desk, raw)

    assert {taken.as_of for taken in desk.uploads} == {"2024-02-01T00:00:00+00:00"}


def test_the_same_run_again_finds_its_jobs_again(desk: Desk, raw: Path) -> None:
    first = load(desk, raw)
    again = load(desk, raw)

    assert [job["job_id"] for job in again] == [job["job_id"] for job in first]
    assert len(desk.jobs) == len(NAMES)


def test_another_content_or_another_moment_is_another_job(desk: Desk, raw: Path) -> None:
    load(desk, raw)
    with (raw / "events.csv").open("a") as file:
        file.write("301,4,page_view,9,2024-01-21T07:38:06Z\n")
    load(desk, raw)
    assert len(desk.jobs) == len(NAMES) + 1
    load(desk, raw, LATER)
    assert len(desk.jobs) == 2 * len(NAMES) + 1


@pytest.mark.parametrize("status", ["failed", "archived"])
def test_a_file_that_failed_ends_the_run_with_its_statement_and_its_children_are_not_sent(
    desk: Desk, raw: Path, status: str
) -> None:
    desk.verdicts["products.csv"] = iter(
        [{"status": status, "error": "bad_header: price is missing", "loaded": 0}]
    )

    with pytest.raises(Refused, match=f"products.csv is {status} .* rows=10 loaded=0 .*price is missing"):
        load(desk, raw)

    assert [taken.name for taken in desk.uploads] == NAMES[:2]


def test_a_cleared_run_begins_a_failed_file_anew_and_no_other(desk: Desk, raw: Path) -> None:
    desk.verdicts["products.csv"] = iter([{"status": "failed", "error": "file_changed"}])
    with pytest.raises(Refused):
        load(desk, raw)

    load(desk, raw)

    assert [job["file_name"] for job in desk.jobs.values()] == [NAMES[0], NAMES[1], NAMES[1], *NAMES[2:]]


def test_duplicate_is_a_success(desk: Desk, raw: Path) -> None:
    desk.verdicts["users.csv"] = iter([{"status": "duplicate", "rows": 0, "loaded": 0}])

    assert load(desk, raw)[0]["status"] == "duplicate"


@pytest.mark.parametrize("what", ["rejected", "parked"])
def test_more_rows_than_the_limit_fail_and_as_many_pass(desk: Desk, raw: Path, what: str) -> None:
    verdict = {"status": "loaded_with_rejects", "loaded": 9, what: 1}
    desk.verdicts["orders.csv"] = iter([verdict])
    load(desk, raw, limits={f"{what}_percent": 10.0})

    with pytest.raises(Refused, match=rf"More than 9.9 % of the rows are {what}. orders.csv"):
        load(desk, raw, limits={f"{what}_percent": 9.9})


def test_a_file_of_another_kind_under_the_name_fails(desk: Desk, raw: Path) -> None:
    desk.verdicts["orders.csv"] = iter([{"kind": "product"}])

    with pytest.raises(Refused, match="kind product, not order"):
        load(desk, raw)


def test_parked_rows_are_given_the_time_to_find_their_parents(desk: Desk, raw: Path) -> None:
    desk.verdicts["orders.csv"] = iter([{"loaded": 4, "parked": 6, "settled_at": None}])
    settled = {"loaded": 10, "parked": 0, "settled_at": "2024-02-01T00:00:01Z"}
    desk.later["job-3"] = [{}, {}, settled]  # once for the load, twice while the sweep works

    assert load(desk, raw)[2]["parked"] == 0


def test_a_missing_file_stops_everything_before_the_first_is_sent(desk: Desk, raw: Path) -> None:
    (raw / "order_items.csv").unlink()

    with pytest.raises(Unavailable, match=r"lacks order_items\.csv"):
        load(desk, raw)

    assert desk.uploads == []


def test_a_link_in_the_place_of_a_file_is_not_followed(desk: Desk, raw: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a password")
    (raw / "events.csv").unlink()
    (raw / "events.csv").symlink_to(secret)

    with pytest.raises(Refused, match=r"events\.csv is a link"):
        load(desk, raw)

    assert desk.uploads == []


def test_a_link_that_takes_the_place_of_a_file_later_is_not_followed_either(
    desk: Desk, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a password")
    take = desk.take

    def take_and_exchange(request: Any) -> Answer:
        if not (raw / "products.csv").is_symlink():
            (raw / "products.csv").unlink()
            (raw / "products.csv").symlink_to(secret)
        return take(request)

    monkeypatch.setattr(desk, "take", take_and_exchange)
    with pytest.raises(Refused, match=r"products\.csv is a link"):
        load(desk, raw)

    assert [taken.name for taken in desk.uploads] == ["users.csv"]


def test_a_file_that_is_written_while_it_is_sent_is_not_taken_for_either(
    desk: Desk, raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = desk.take

    def take_and_write(request: Any) -> Answer:
        (raw / "users.csv").write_text("user_id,name,email,signup_date\n")
        return take(request)

    monkeypatch.setattr(desk, "take", take_and_write)
    with pytest.raises(Unavailable, match=r"users\.csv was written while it was sent"):
        load(desk, raw)


def test_a_door_that_is_full_or_away_is_asked_again_after_the_time_it_names(
    desk: Desk, raw: Path, naps: Naps
) -> None:
    taken, nap = naps
    desk.instead = [
        Answer(503, headers={"Retry-After": "7"}),
        Answer(409, headers={"Retry-After": "1"}),
        Answer(502),
    ]

    load(desk, raw, nap=nap)

    assert taken[:3] == [7.0, 1.0, 4.0]
    assert len({taken.key for taken in desk.uploads if taken.name == "users.csv"}) == 1


def test_a_refusal_of_the_door_is_passed_on_in_its_words(desk: Desk, raw: Path) -> None:
    desk.instead = [Answer(422, {"detail": "Parameter as_of: must not be in the future."})]

    with pytest.raises(
        Refused, match=r"users\.csv, answered 422: Parameter as_of: must not be in the future"
    ):
        load(desk, raw)


def test_a_door_that_stays_away_ends_the_wait_at_its_bound(desk: Desk, raw: Path) -> None:
    desk.instead = [Answer(503, {"detail": "The folder is out of reach."})] * 1_000

    began = time.monotonic()
    with pytest.raises(Unavailable, match="answered 503: The folder is out of reach"):
        load(desk, raw, limits={"within_s": SOON_S})
    assert time.monotonic() - began < WITHIN_S


def test_nobody_listening_is_said_as_such(raw: Path, desk: Desk) -> None:
    nowhere = "http://127.0.0.1:9"
    with (
        Doors(nowhere, desk.url, no_nap) as doors,
        pytest.raises(Unavailable, match=r"users\.csv, did not answer"),
    ):
        load_files(raw, AS_OF, doors, Limits(0, 0, SOON_S), no_nap)


def test_a_job_that_never_ends_ends_the_wait_at_its_bound(desk: Desk, raw: Path) -> None:
    desk.verdicts["users.csv"] = iter([{"status": "running", "settled_at": None}])

    with pytest.raises(Unavailable, match=r"of users\.csv was not over in time: .* is running"):
        load(desk, raw, limits={"within_s": SOON_S})


def test_a_large_file_is_never_whole_in_memory(desk: Desk, raw: Path) -> None:
    with (raw / "users.csv").open("wb") as file:
        file.truncate(BIG_BYTES)
    tracemalloc.start()
    try:
        load(desk, raw)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert desk.uploads[0].bytes == BIG_BYTES
    assert peak < MEMORY_BYTES
