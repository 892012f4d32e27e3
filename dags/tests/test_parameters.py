"""A parameter that the DAG does not know is refused by the first task, before anything is sent."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.desk import Desk
from support.nightly import TASKS, read_dags, red_at, run_nightly

from tillstream_dags.errors import Refused
from tillstream_dags.parameters import refuse_unknown

pytestmark = pytest.mark.integration

KNOWN = {"max_rejected_percent", "max_lag_seconds"}
LISTED = "The parameters are: max_lag_seconds, max_rejected_percent."
AT = datetime(2024, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize("given", [[], ["max_lag_seconds"], sorted(KNOWN)])
def test_known_parameters_are_taken(given: list[str]) -> None:
    refuse_unknown(given, KNOWN)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            ["max_rejected_procent"],
            "This DAG has no parameter max_rejected_procent: is max_rejected_percent meant?",
        ),
        (["colour"], "This DAG has no parameter colour."),
        (
            ["max_lag_secods", "max_lag_seconds", "colour"],
            "This DAG has no parameter colour. This DAG has no parameter max_lag_secods: is max_lag_seconds meant?",
        ),
    ],
)
def test_an_unknown_parameter_is_refused_with_the_nearest_and_all_there_are(
    given: list[str], said: str
) -> None:
    with pytest.raises(Refused) as refused:
        refuse_unknown(given, KNOWN)
    assert str(refused.value) == f"{said} {LISTED}"


@pytest.fixture
def shop(desk: Desk, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Doors that take everything, as the environment of the tasks names them."""
    monkeypatch.setenv("TILLSTREAM_INGEST_URL", desk.url)
    monkeypatch.setenv("TILLSTREAM_QUERY_URL", desk.url)
    monkeypatch.setenv("TILLSTREAM_DATA_DIR", str(data_dir))
    return desk


@pytest.mark.usefixtures("metadata")
def test_a_run_with_a_misspelt_parameter_is_red_before_anything_is_sent(shop: Desk) -> None:
    assert run_nightly(AT, {"max_rejected_procent": 50}) == red_at(TASKS[0])
    assert shop.uploads == []


@pytest.mark.usefixtures("metadata")
def test_a_run_with_every_parameter_that_there_is_begins_its_work(shop: Desk) -> None:
    params = read_dags().dags["ecommerce_etl_pipeline"].params
    run_nightly(AT, {name: params[name] for name in params})
    assert len(shop.uploads) == 5
