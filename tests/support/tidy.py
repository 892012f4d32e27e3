"""The house rules as functions from source text to findings; `tests/test_tidy.py` applies them to the repository."""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

FUNCTION_LINES = 70
MODULE_LINES = 400
TEST_MODULE_LINES = 600
MAIN_LINES = 30
TIERS = frozenset({"unit", "contract", "integration", "fault", "e2e"})
BROAD = frozenset({"Exception", "BaseException"})
BROAD_WITH_REASON = re.compile(r"#\s*noqa:\s*BLE001\s*[-–—:(]+\s*\w.{4,}")
LEFT_FOR_LATER = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b")
SLEEPERS = frozenset({"time", "asyncio"})
HELPER = "shared/src/tillstream/testing/waiting.py"  # the one place that may sleep between two looks
LEFT_OUT = frozenset({"pytest.skip", "pytest.xfail", "pytest.importorskip", "pytest.mark.skip", "pytest.mark.skipif", "pytest.mark.xfail"})  # fmt: skip
NAIVE_ALWAYS = frozenset({"utcnow", "utcfromtimestamp", "today"})
NAIVE_WITHOUT_ZONE = {"now": 0, "fromtimestamp": 1}  # how many arguments may come before the zone
DATE_CLASSES = frozenset({"datetime", "date"})
ADAPTERS = ("aiokafka", "tillstream.kafka.aio", "tillstream.db.connections")
NOT_FOR_DAGS = frozenset(
    {"tillstream", "tillstream_native", "ingest_api", "etl_worker", "query_api", "file_watcher"}
)
REQUIREMENT = re.compile(r"^[A-Za-z0-9][\w.-]*(?:\[[^\]]*\])?==")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule; reads as a sentence in a failed assertion."""

    line: int
    problem: str


def is_test(path: Path) -> bool:
    """Whether a module belongs to the tests."""
    return "tests" in path.parts or path.name == "conftest.py"


def long_modules(path: Path, source: str) -> Iterator[Finding]:
    """Modules over their budget, which depends on what kind they are."""
    budget = (
        TEST_MODULE_LINES if is_test(path) else MAIN_LINES if path.name == "__main__.py" else MODULE_LINES
    )
    lines = len(source.splitlines())
    if lines > budget:
        yield Finding(lines, f"the module has {lines} lines, its budget is {budget}")


def long_functions(tree: ast.AST) -> Iterator[Finding]:
    """Functions over the budget, decorators not counted."""
    for function in _functions(tree):
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        if lines > FUNCTION_LINES:
            yield Finding(
                function.lineno, f"{function.name} has {lines} lines, its budget is {FUNCTION_LINES}"
            )


def hidden_imports(tree: ast.AST) -> Iterator[Finding]:
    """Imports inside functions."""
    for function in _functions(tree):
        for node in ast.walk(function):
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield Finding(node.lineno, f"{function.name} imports; imports stand at the top of the module")


def broad_excepts(tree: ast.AST, source: str) -> Iterator[Finding]:
    """Handlers that catch everything without a reason on their line, or that only pass over it.

    One that ends with `raise` only cleans up on the way.
    """
    lines = source.splitlines()
    for handler in (node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)):
        if not _is_broad(handler.type) or _raises_again(handler):
            continue
        if not BROAD_WITH_REASON.search(lines[handler.lineno - 1]):
            yield Finding(handler.lineno, "a broad except needs `# noqa: BLE001 - <reason>` on its line")
        if all(isinstance(statement, ast.Pass | ast.Continue) for statement in handler.body):
            yield Finding(handler.lineno, "a broad except passes over what happened")


def naive_times(tree: ast.AST) -> Iterator[Finding]:
    """Moments without a zone."""
    for call in _calls(tree):
        function = call.func
        if not isinstance(function, ast.Attribute) or _last(function.value) not in DATE_CLASSES:
            continue
        arguments = len(call.args) + sum(keyword.arg in {"tz", None} for keyword in call.keywords)
        before_zone = NAIVE_WITHOUT_ZONE.get(function.attr)
        if function.attr in NAIVE_ALWAYS or (before_zone is not None and arguments <= before_zone):
            yield Finding(call.lineno, f"{ast.unparse(function)}() has no zone")


def sleeping_tests(path: Path, tree: ast.AST) -> Iterator[Finding]:
    """Tests, and what is made for tests, that sleep instead of waiting for a condition; `asyncio.sleep(0)` only gives way."""
    if path.as_posix() == HELPER or not (is_test(path) or "testing" in path.parts):
        return
    for call in _calls(tree):
        name = ast.unparse(call.func)
        if name == "time.sleep" or (name == "asyncio.sleep" and not _gives_way(call)):
            yield Finding(call.lineno, f"a test calls {name}; it should wait for a condition")
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or node.module not in SLEEPERS:
            continue
        if any(alias.name == "sleep" for alias in node.names):
            yield Finding(
                node.lineno, f"a test imports sleep from {node.module}; it should wait for a condition"
            )


def left_out_tests(tree: ast.AST) -> Iterator[Finding]:
    """Tests that are skipped or expected to fail."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in LEFT_OUT:
            yield Finding(node.lineno, f"{ast.unparse(node)} leaves a test out")


def missing_tier(path: Path, tree: ast.Module) -> Iterator[Finding]:
    """Test modules that do not say which tier they belong to."""
    if not path.name.startswith("test_"):
        return
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            named = {each.attr for each in ast.walk(node.value) if isinstance(each, ast.Attribute)}
            if named & TIERS:
                return
    yield Finding(1, f"the module has no pytestmark with one of {', '.join(sorted(TIERS))}")


def stray_arrows(path: Path, tree: ast.Module) -> Iterator[Finding]:
    """Inside a service: who but `app` builds adapters, who but `__main__` uses `app`, who but `app` uses the routes."""
    if "services" not in path.parts or "src" not in path.parts:
        return
    package = path.parts[path.parts.index("src") + 1]
    is_edge = "routes" in {*path.parts, path.stem}
    for line, module in _imported(tree):
        own = module.split(".")[1:] if module.startswith(f"{package}.") else []
        if path.stem != "app" and any(f"{module}.".startswith(f"{adapter}.") for adapter in ADAPTERS):
            yield Finding(line, f"{module} builds adapters; only app does that")
        if path.stem != "__main__" and "app" in own:
            yield Finding(line, f"{module} is used by __main__ only")
        if path.stem != "app" and not is_edge and "routes" in own:
            yield Finding(line, f"{module} is the edge; only app uses it")


def stray_dag_imports(path: Path, tree: ast.AST) -> Iterator[Finding]:
    """Code of ours in a DAG: the DAGs know HTTP and SQL only."""
    if path.parts[0] != "dags":
        return
    for line, module in _imported(tree):
        if module.split(".")[0] in NOT_FOR_DAGS:
            yield Finding(line, f"{module} is not for DAGs, which know HTTP and SQL only")


def left_for_later(text: str) -> Iterator[Finding]:
    """Notes to oneself: they belong into an issue."""
    for number, line in enumerate(text.splitlines(), start=1):
        if found := LEFT_FOR_LATER.search(line):
            yield Finding(number, f"{found[0]} belongs into an issue")


def loose_pins(lock: str) -> Iterator[Finding]:
    """Addresses in a lock, and requirements without a hash."""
    lines = lock.splitlines()
    for number, line in enumerate(lines, start=1):
        if "://" in line:
            yield Finding(number, "a lock must not carry an address")
        following = lines[number] if number < len(lines) else ""
        if REQUIREMENT.match(line) and "--hash=" not in line + following:
            yield Finding(number, f"{line.split()[0]} has no hash")


def settings_fields(trees: Iterable[ast.Module], base: str = "BaseSettings") -> set[str]:
    """The fields of every class that descends from `base`, as environment variables name them."""
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    family, fields = {base}, set[str]()
    while True:
        more = [
            each for each in classes if each.name not in family and family & {_last(of) for of in each.bases}
        ]
        if not more:
            return fields
        family |= {each.name for each in more}
        fields |= {
            f"TILLSTREAM_{statement.target.id.upper()}"
            for each in more
            for statement in each.body
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
        }


def _imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def _functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _is_broad(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(_is_broad(each) for each in caught.elts)
    return caught is None or _last(caught) in BROAD


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _gives_way(sleep: ast.Call) -> bool:
    return [ast.unparse(argument) for argument in sleep.args] == ["0"]


def _last(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
