"""What the stack of the end-to-end tests is set to."""

from collections.abc import Mapping

import pytest


@pytest.fixture(scope="session")
def stack_settings() -> Mapping[str, str]:
    """Files are dropped whole here, so that the watcher need not wait long to see whether they still grow."""
    return {"TILLSTREAM_FILE_STABLE_S": "0.2", "TILLSTREAM_FILE_SCAN_S": "0.2"}
