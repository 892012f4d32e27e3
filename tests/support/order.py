"""How the tests are dealt out to several processes: what shares a stack stays together, and the longest comes first."""

from pathlib import Path

import pytest

STACK_TESTS = Path(__file__).parents[1] / "e2e"


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in its own
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """One group per module, since its tests may share a server; all tests of the shared stack are one group."""
    if not hasattr(config, "workerinput"):
        return
    for item in items:
        group = STACK_TESTS if item.path.is_relative_to(STACK_TESTS) else item.path
        item.add_marker(pytest.mark.xdist_group(str(group.relative_to(config.rootpath))))
    items.sort(
        key=lambda item: (item.get_closest_marker("e2e") is None, not item.path.is_relative_to(STACK_TESTS))
    )
