import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.unit

SCRIPT = Path(__file__).parents[4] / "docs" / "pages.py"


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pages", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["settings.md", "metrics.md", "contracts.md"])
def test_page_says_what_the_code_says(name: str) -> None:
    page = SCRIPT.parent / name
    wanted = load_script().pages()[page]
    assert page.read_text(encoding="utf-8") == wanted, "run `python docs/pages.py`"
