"""What only containers have; collected where the tests run on them (`--stack=compose`)."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from support.any_stack import AnyStack
from support.composed import ComposedStack
from support.stack import QUICK_FILES


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Not a test left out: it belongs to `make test-compose`, which needs an engine."""
    is_test = collection_path.name.startswith("test_")
    return True if is_test and config.getoption("--stack") != "compose" else None


@pytest.fixture(scope="session")
def stack_settings() -> Mapping[str, str]:
    return QUICK_FILES


@pytest.fixture
def composed(stack: AnyStack) -> ComposedStack:
    """The project, with what containers have and native processes do not."""
    assert isinstance(stack, ComposedStack)
    return stack
