"""Every process says once which of its variables nobody knows, whatever else is wrong; those of other processes are no error."""

import json
import os
import subprocess
import sys

import pytest

from tillstream_native.services import MODULES

pytestmark = pytest.mark.integration

EXIT_MISCONFIGURED = 78
WITHIN_S = 60
GIVEN = {
    "TILLSTREAM_LOG_LEVEL": "LOUD",  # so that it ends at once
    "TILLSTREAM_KAFKA_BOOTSTRP": "127.0.0.1:9",
    "TILLSTREAM_DATABASE_URL_FIEL": "/nowhere",
    # One settings.env serves all.
    "TILLSTREAM_INGEST_PORT": "1",
    "TILLSTREAM_QUERY_WAIT_MS": "1",
    "TILLSTREAM_FILE_PARALLEL": "1",
    "TILLSTREAM_FILE_SCAN_S": "1",
    "TILLSTREAM_BATCH_RECORDS": "1",
}


@pytest.mark.parametrize("process", MODULES)
def test_a_process_warns_once_of_each_variable_that_nobody_knows(process: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", MODULES[process]],
        env={"PATH": os.environ["PATH"], **GIVEN},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(each["service"], each["event"]) for each in lines if each["level"] == "warning"] == [
        (process, f"No process knows TILLSTREAM_{name}, and nothing heeds it: is TILLSTREAM_{meant} meant?")
        for name, meant in (
            ("DATABASE_URL_FIEL", "DATABASE_URL_FILE"),
            ("KAFKA_BOOTSTRP", "KAFKA_BOOTSTRAP"),
        )
    ]
    assert done.returncode == EXIT_MISCONFIGURED
    assert "TILLSTREAM_LOG_LEVEL is wrong" in lines[-1]["problem"]
