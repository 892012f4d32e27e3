"""The house rules, checked: budgets, imports, errors, times, documents, locks. Each check is shown to catch a planted case."""

import ast
import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import pytest

from support import tidy
from support.tidy import Finding
from tillstream.observe.definitions import DEFINITIONS, Process
from tillstream.variables import OF_THE_STACKS

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[1]
NOT_OURS = frozenset(
    {
        ".git",
        ".venv",
        ".venv-airflow",
        ".cache",
        ".local",
        ".mypy_cache",
        ".ruff_cache",
        ".pytest_cache",
        ".hypothesis",
    }
)
TEXTS = frozenset(
    {".py", ".sql", ".md", ".sh", ".toml", ".in", ".yaml", ".yml", ".xml", ".properties", ".conf"}
)
SETTING = re.compile(r"\bTILLSTREAM_[A-Z0-9_]+\b")
METRIC = re.compile(r"\b(?:tillstream|kafka)_[a-z0-9_]+\b")
ADVISORY_LOCK = re.compile(r"\bpg_(?:try_)?advisory_(?:xact_)?lock\((\d+)\)")
FOREIGN_LOCKS = ("package-lock.json", "poetry.lock", "Pipfile.lock", "pdm.lock")
HOMES = {
    Process.FILE_LOADER: Process.ETL_WORKER
}  # where the code of a process stands, when not under its own name
SAME_IN_EVERY_SERVICE = ("__main__.py", "app.py", "settings.py")

Check = Callable[[Path, str], Iterable[Finding]]


@cache
def files() -> tuple[Path, ...]:
    """Every file of ours, relative to the root."""
    found = []
    for folder, below, names in ROOT.walk():
        below[:] = sorted(name for name in below if name not in NOT_OURS and name != "__pycache__")
        found += [(folder / name).relative_to(ROOT) for name in sorted(names)]
    return tuple(found)


def modules(*, tests: bool | None = None) -> list[Path]:
    return [path for path in files() if path.suffix == ".py" and tests in {None, tidy.is_test(path)}]


def findings(paths: Iterable[Path], check: Check) -> list[str]:
    """What a check finds, one line each, as an editor can jump to it."""
    return [
        f"{path}:{finding.line}: {finding.problem}"
        for path in paths
        for finding in check(path, (ROOT / path).read_text(encoding="utf-8"))
    ]


def on_tree(check: Callable[[ast.Module], Iterable[Finding]]) -> Check:
    return lambda _path, source: check(ast.parse(source))


def sleeps(path: Path, source: str) -> Iterable[Finding]:
    return tidy.sleeping_tests(path, ast.parse(source))


@pytest.mark.parametrize(
    ("check", "tests"),
    [
        pytest.param(tidy.long_modules, None, id="modules_are_short"),
        pytest.param(on_tree(tidy.long_functions), None, id="functions_are_short"),
        pytest.param(on_tree(tidy.hidden_imports), None, id="imports_stand_at_the_top"),
        pytest.param(
            lambda _, source: tidy.broad_excepts(ast.parse(source), source), None, id="broad_excepts_have_a_reason"
        ),
        pytest.param(on_tree(tidy.naive_times), None, id="moments_have_a_zone"),
        pytest.param(
            lambda path, source: tidy.stray_arrows(path, ast.parse(source)), False, id="only_app_builds_adapters"
        ),
        pytest.param(
            lambda path, source: tidy.stray_dag_imports(path, ast.parse(source)), None, id="dags_know_http_and_sql_only"
        ),
        pytest.param(sleeps, None, id="tests_do_not_sleep"),
        pytest.param(on_tree(tidy.left_out_tests), True, id="tests_are_not_left_out"),
        pytest.param(
            lambda path, source: tidy.missing_tier(path, ast.parse(source)), True, id="tests_name_their_tier"
        ),
    ],
)  # fmt: skip
def test_house_rule_holds_everywhere(check: Check, tests: bool | None) -> None:
    assert findings(modules(tests=tests), check) == []


def test_nothing_is_left_for_later() -> None:
    texts = [path for path in files() if path.suffix in TEXTS or path.name in {"Makefile", "Dockerfile"}]
    assert findings(texts, lambda _, text: tidy.left_for_later(text)) == []


def test_locks_carry_hashes_and_no_addresses() -> None:
    locks = [path for path in files() if path.parent.name == "requirements" and path.suffix == ".txt"]
    assert locks
    assert findings(locks, lambda _, text: tidy.loose_pins(text)) == []
    assert [str(path) for path in files() if path.name in FOREIGN_LOCKS] == []


def test_every_setting_is_documented_and_every_documented_one_exists() -> None:
    trees = [ast.parse((ROOT / path).read_text(encoding="utf-8")) for path in modules(tests=False)]
    declared = tidy.settings_fields(trees)
    documented = set(SETTING.findall((ROOT / "docs" / "settings.md").read_text(encoding="utf-8")))
    assert sorted(declared - documented) == []
    from_files = {name for name in documented if name.removesuffix("_FILE") in declared}
    assert sorted(documented - declared - from_files) == sorted(OF_THE_STACKS)


@pytest.mark.parametrize("process", list(Process))
def test_every_metric_is_set_by_the_process_that_serves_it(process: Process) -> None:
    homes = (Path("shared/src"), Path("services") / HOMES.get(process, process) / "src")
    code = "\n".join(
        (ROOT / path).read_text(encoding="utf-8")
        for path in modules(tests=False)
        if any(path.is_relative_to(home) for home in homes)
    )
    served = [each.field for each in DEFINITIONS if process in each.processes]
    assert [field for field in served if not re.search(rf"\.{field}\b(?! =)", code)] == []


def test_every_metric_is_documented_and_every_documented_one_exists() -> None:
    declared = {definition.name for definition in DEFINITIONS}
    documented = set(METRIC.findall((ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")))
    assert sorted(declared - documented) == []
    assert sorted(documented - declared) == []


@pytest.mark.parametrize("service", sorted((ROOT / "services").glob("*/src/*/")), ids=lambda path: path.name)
def test_who_knows_one_service_knows_all(service: Path) -> None:
    assert [name for name in SAME_IN_EVERY_SERVICE if not (service / name).exists()] == []
    assert (service.parents[1] / "README.md").exists()


def stray(path: Path, source: str) -> Iterable[Finding]:
    return tidy.stray_arrows(path, ast.parse(source))


LONG_FUNCTION = "def planted():\n" + "    work()\n" * 70
PLANTED = {
    "long_function": (on_tree(tidy.long_functions), "src/a.py", LONG_FUNCTION, 1),
    "long_module": (tidy.long_modules, "src/a.py", "work()\n" * 401, 401),
    "long_test_module": (tidy.long_modules, "x/tests/test_a.py", "work()\n" * 601, 601),
    "long_main": (tidy.long_modules, "src/__main__.py", "work()\n" * 31, 31),
    "hidden_import": (on_tree(tidy.hidden_imports), "src/a.py", "def planted():\n    import os\n", 2),
    "hidden_from_import": (on_tree(tidy.hidden_imports), "src/a.py", "async def planted():\n    from os import path\n", 2),
    "bare_except": (None, "src/a.py", "try:\n    work()\nexcept:\n    raise Other\n", 3),
    "broad_except": (None, "src/a.py", "try:\n    work()\nexcept (OSError, Exception):\n    stop()\n", 3),
    "broad_except_without_reason": (
        None, "src/a.py", "try:\n    work()\nexcept Exception:  # noqa: BLE001\n    stop()\n", 3
    ),
    "broad_except_that_passes": (
        None, "src/a.py", "try:\n    work()\nexcept Exception:  # noqa: BLE001 - the edge of the loop\n    pass\n", 3
    ),
    "naive_now": (on_tree(tidy.naive_times), "src/a.py", "moment = datetime.now()\n", 1),
    "naive_utcnow": (on_tree(tidy.naive_times), "src/a.py", "moment = datetime.datetime.utcnow()\n", 1),
    "naive_timestamp": (on_tree(tidy.naive_times), "src/a.py", "moment = datetime.fromtimestamp(0)\n", 1),
    "naive_today": (on_tree(tidy.naive_times), "src/a.py", "day = date.today()\n", 1),
    "sleeping_test": (sleeps, "tests/test_a.py", "time.sleep(1)\n", 1),
    "napping_test": (sleeps, "tests/test_a.py", "await asyncio.sleep(POLL_S)\n", 1),
    "napping_double": (sleeps, "shared/src/tillstream/testing/a.py", "await asyncio.sleep(delay=1)\n", 1),
    "imported_sleep": (sleeps, "tests/test_a.py", "from asyncio import sleep\n", 1),
    "skipped_test": (on_tree(tidy.left_out_tests), "tests/test_a.py", "pytest.skip('later')\n", 1),
    "expected_failure": (
        on_tree(tidy.left_out_tests), "tests/test_a.py", "@pytest.mark.xfail(strict=False)\ndef test_a(): ...\n", 1
    ),
    "test_without_tier": (
        lambda path, source: tidy.missing_tier(path, ast.parse(source)), "tests/test_a.py", "pytestmark = pytest.mark.slow\n", 1
    ),
    "adapter_outside_of_app": (
        stray, "services/one/src/one/work.py", "from tillstream.kafka.aio import AioProducer\n", 1
    ),
    "app_used_by_a_use_case": (stray, "services/one/src/one/work.py", "from one import app\n", 1),
    "routes_used_by_a_use_case": (stray, "services/one/src/one/work.py", "from one.routes import door\n", 1),
    "dag_with_code_of_ours": (
        lambda path, source: tidy.stray_dag_imports(path, ast.parse(source)), "dags/a.py", "from tillstream.db import tables\n", 1
    ),
    "dag_with_a_service": (
        lambda path, source: tidy.stray_dag_imports(path, ast.parse(source)), "dags/b/a.py", "import query_api.app\n", 1
    ),
    "left_for_later": (lambda _, text: tidy.left_for_later(text), "a.md", "TO{}: tidy up\n".format("DO"), 1),
    "address_in_lock": (
        lambda _, text: tidy.loose_pins(text), "a.txt", "--index-url https://example.org/simple\n", 1
    ),
    "pin_without_hash": (lambda _, text: tidy.loose_pins(text), "a.txt", "fastapi==0.1 \\\n    # via us\n", 1),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(PLANTED))
def test_planted_case_is_found(case: str) -> None:
    check, path, source, line = PLANTED[case]
    if check is None:
        found = list(tidy.broad_excepts(ast.parse(source), source))
    else:
        found = list(check(Path(path), source))
    assert [finding.line for finding in found] == [line]


def test_tidy_code_passes() -> None:
    source = (
        "def planted():\n    try:\n        return datetime.now(UTC), datetime.fromtimestamp(0, tz=UTC)\n"
        "    except Exception as error:  # noqa: BLE001 - the edge of the loop: the process ends with its reason\n"
        "        report(error)\n"
        "    except BaseException:\n        close()\n        raise\n"
    )
    tree = ast.parse(source)
    checks = (
        tidy.long_functions,
        tidy.hidden_imports,
        tidy.naive_times,
        tidy.left_out_tests,
    )
    assert [finding for check in checks for finding in check(tree)] == []
    assert list(tidy.broad_excepts(tree, source)) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("tests/test_a.py", "asyncio.sleep(0)"),
        ("src/a.py", "asyncio.sleep(1)"),
        (tidy.HELPER, "asyncio.sleep(1)"),
    ],
)
def test_giving_way_and_sleeping_where_it_is_allowed_pass(path: str, source: str) -> None:
    assert list(sleeps(Path(path), source)) == []


def test_no_two_statements_take_the_same_advisory_lock() -> None:
    """One that is shared by accident makes strangers wait for each other."""
    sources = [path for part in ("services", "shared") for path in (ROOT / part).glob("**/src/**/*.sql")]
    numbers = [number for path in sources for number in ADVISORY_LOCK.findall(path.read_text())]
    assert len(numbers) == len(set(numbers)) > 1


def test_undocumented_setting_would_be_found() -> None:
    source = "class Common(BaseSettings):\n    env: str\n\nclass Own(Common):\n    planted_port: int = 1\n"
    assert tidy.settings_fields([ast.parse(source)]) == {"TILLSTREAM_ENV", "TILLSTREAM_PLANTED_PORT"}
