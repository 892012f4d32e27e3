"""What the stack of the end-to-end tests is set to."""

from collections.abc import Mapping

import pytest

from support.stack import QUICK_FILES


@pytest.fixture(scope="session")
def stack_settings() -> Mapping[str, str]:
    return QUICK_FILES
