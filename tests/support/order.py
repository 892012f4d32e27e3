"""How the tests are dealt out to several processes: what shares servers stays together, and the longest comes first."""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

STACK_TESTS = "tests/e2e"


class ByModule(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Deals out whole modules; the tests of the one running stack count as one."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.split("::", 1)[0]
        return STACK_TESTS if module.startswith(f"{STACK_TESTS}/") else module


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByModule:
    """Instead of the scheduler that `--dist` names."""
    return ByModule(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With several processes, what takes longest begins first: the whole stack, then whatever starts one."""
    if hasattr(config, "workerinput"):
        items.sort(key=_turn)


def _turn(item: pytest.Item) -> tuple[bool, bool]:
    return not item.nodeid.startswith(f"{STACK_TESTS}/"), item.get_closest_marker("e2e") is None
