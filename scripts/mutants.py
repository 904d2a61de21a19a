"""Measures how well the tests notice faults: changes the code in one place at a time and runs the tests that reach it.

Such a change is a *mutant*. A seed chooses the mutants, so a run can be repeated. First each file of tests below
``tests/core`` runs once, which shows the functions that each test reaches. Then each mutant is tried in a process of
its own, which imports the changed module and runs the tests that reach its function: those of the mirrored file first,
then the closest, then the quickest. The first pass runs tests of a few seconds; the second pass runs more of them for
the mutants that are left.

A mutant is *killed* if a test fails or uses up its limit, which is in seconds of the processor: a busy machine kills
nothing. It *survived* if all tests that reach it pass, and is *undecided* if the second pass was too short for all of
them. It is *excluded* if a rule of ``EXCLUDED`` holds. The report, which is JSON, counts them all.

Changes of mere text are no mutants: log lines, docstrings, f-strings, messages of exceptions, annotations, decorators,
and what only type checkers read.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import json
import os
import random
import re
import resource
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.machinery import SourceFileLoader
from itertools import pairwise
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, TypeVar

import psutil
import pytest
from hypothesis import HealthCheck, Phase, settings

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "airflow_provider_toggl"
CODE = f"{PACKAGE}/core"
TESTS = "tests/core"
#: Tests that face Airflow or take long are not run.
MARKERS = "not (airflow or browser or slow or soak or installs or newest)"
#: Imported before the forks, to save time. Not Airflow, which reads its home at import.
LIBRARIES = (
    "duckdb",
    "pandas",
    "pyarrow.parquet",
    "psycopg",
    "requests",
    "msgspec",
    "pendulum",
    "starlette.applications",
)
#: What the tests of a mutant may cost in each pass, see ``Reach``.
PASSES = (6.0, 60.0)
#: Tries without any change, which no test may fail.
UNCHANGED = 10
#: A process hangs if it uses a twentieth of a processor or less for so many seconds, and then waits for something else.
IDLE = 120.0
MEMORY = 12 << 30

#: Rules for mutants that change nothing that a caller gets: a name, and a pattern of their kind and changed line.
_WAITS = "TIMEOUT|PAUSE|INTERVAL|JITTER|BATCH|CHUNK|CACHED|BUFFER|IN_A_LIST"
EXCLUDED = {
    "a waiting time or a size of a batch": rf"^constant .* \+ _?(\w+_)?({_WAITS})(_\w+)? = \(?[\d._]+\)?$",
    "a guard against mistakes of the package": r"^constant .*\b(strict|daemon)=True\b.* \+ .*\b\1=False\b",
}

T = TypeVar("T")

# --- Mutants ---------------------------------------------------------------------------------------------------------

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip
LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
#: Calls with the same result if their arguments are swapped, or whose arguments are types.
SYMMETRIC = {"min", "max", "compare_digest", "cast", "TypeVar", "NewType"}


@dataclass(frozen=True)
class Mutant:
    """One change of one file.

    :param path: the file, relative to the repository.
    :param kind: what is changed, such as ``comparison``.
    :param function: the first line of the function around it, or 0 outside of functions.
    :param start: the first byte that is replaced.
    :param end: the byte after the last one.
    :param text: the new text.
    """

    path: str
    line: int
    kind: str
    function: int
    start: int
    end: int
    text: str

    def apply(self, source: str) -> str:
        """Return the changed file; all other lines keep their numbers."""
        data = source.encode()
        removed = data[self.start : self.end].count(b"\n")
        ending = ")" if self.text.endswith(")") else ""
        text = self.text.removesuffix(")") + "\n" * removed + ending
        return (data[: self.start] + text.encode() + data[self.end :]).decode()

    def diff(self, source: str) -> list[str]:
        """Return the lines before and after the change."""
        data = source.encode()
        first, last = data.rfind(b"\n", 0, self.start) + 1, (data + b"\n").find(b"\n", self.end)
        after = data[first : self.start] + self.text.encode() + data[self.end : last]
        return [f"- {data[first:last].decode().strip()}", f"+ {after.decode().strip()}"]


class MutantFinder(ast.NodeVisitor):
    """Collects the changes of a module: kind, node to be replaced, new text, and first line of the function."""

    def __init__(self) -> None:
        self.found: list[tuple[str, Any, str, int]] = []
        self._function = 0

    def visit(self, node: ast.AST) -> None:
        """Collect the changes of a node and of those inside it."""
        if not is_left_out(node):
            self.found.extend((*change, self._function) for change in changes(node))
            super().visit(node)
        elif isinstance(node, ast.If):
            for inner in node.orelse:
                self.visit(inner)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Visit defaults and body, but neither decorators nor annotations."""
        outer, self._function = self._function, min([node.lineno, *(one.lineno for one in node.decorator_list)])
        for inner in (*node.args.defaults, *filter(None, node.args.kw_defaults), *node.body):
            self.visit(inner)
        self._function = outer

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Visit the body, but no decorators."""
        for inner in node.body:
            self.visit(inner)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """Visit the value, unless it is a type."""
        if node.value is not None and "TypeAlias" not in ast.unparse(node.annotation):
            self.visit(node.value)

    def visit_Raise(self, node: ast.Raise) -> None:
        """Leave out the message, which is the text of an exception."""
        if isinstance(node.exc, ast.Call):
            for inner in (*node.exc.args, *(keyword.value for keyword in node.exc.keywords)):
                if not isinstance(inner, (ast.BinOp, ast.IfExp)):
                    self.visit(inner)


def is_left_out(node: ast.AST) -> bool:
    """Return whether a node stays as it is, with what is inside it: texts, log lines, imports, abstract methods."""
    match node:
        case ast.JoinedStr() | ast.Import() | ast.ImportFrom():
            return True
        case ast.If():
            return "TYPE_CHECKING" in ast.unparse(node.test)
        case ast.Raise():
            return node.exc is not None and "NotImplementedError" in ast.unparse(node.exc)
        case ast.Call(func=ast.Attribute(value=owner, attr=name)):
            return ast.unparse(owner) in ("log", "logger", "self._log") and name in LOG_METHODS
        case ast.Call(func=ast.Name(id="log_line")):
            return True
    return False


def changes(node: ast.AST) -> Iterator[tuple[str, ast.AST, str]]:  # noqa: C901, PLR0912 - a table
    """Return what may stand in place of a node: a kind, what is replaced, and the new text."""
    match node:
        case ast.Compare(left, operators, others):
            for number, operator in enumerate(operators):
                for other in COMPARISONS[type(operator)]:
                    changed = [*operators[:number], other(), *operators[number + 1 :]]
                    yield "comparison", node, _text(ast.Compare(left, changed, others))
        case ast.BoolOp(operator, values):
            yield "boolean", node, _text(ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values))
            for number in range(len(values)):
                rest = [*values[:number], *values[number + 1 :]]
                yield "operand", node, _text(ast.BoolOp(operator, rest) if len(rest) > 1 else rest[0])
        case ast.BinOp(left, operator, right) if other := ARITHMETIC.get(type(operator)):
            yield "arithmetic", node, _text(ast.BinOp(left, other(), right))
        case ast.AugAssign(target, operator, value) if other := ARITHMETIC.get(type(operator)):
            yield "arithmetic", node, ast.unparse(ast.AugAssign(target, other(), value))
        case ast.UnaryOp(ast.Not() | ast.USub() as operator, operand):
            yield "not" if isinstance(operator, ast.Not) else "sign", node, _text(operand)
        case ast.Constant(bool() as value):
            yield "constant", node, str(not value)
        case ast.Constant(int() | float() as value):
            yield "constant", node, repr(value + 1)
            yield "constant", node, f"({value - 1!r})"
        case ast.If(test) | ast.While(test) | ast.IfExp(test):
            if not isinstance(test, (ast.Compare, ast.Constant)) and not _is_not(test):
                yield "condition", test, _text(ast.UnaryOp(ast.Not(), test))
        case ast.comprehension(ifs=tests):
            yield from (("condition", test, "True") for test in tests)
        case ast.Return(None | ast.Constant(None | True | False | 0 | 1)):
            pass
        case ast.Return(value):
            is_text = isinstance(value, ast.JoinedStr) or (
                isinstance(value, ast.Constant) and isinstance(value.value, str)
            )
            yield "return", node, 'return ""' if is_text else "return None"
        case ast.Expr(ast.Call() as call) | ast.Expr(ast.Await(ast.Call() as call)):
            if not is_left_out(call):
                yield "dropped call", node, "pass"
        case ast.Raise():
            yield "dropped raise", node, "pass"
        case ast.Call(function, args, keywords):
            if any(isinstance(one, ast.Starred) for one in args) or _name(function) in SYMMETRIC:
                return
            for number, (one, other) in enumerate(pairwise(args)):
                if ast.unparse(one) != ast.unparse(other):
                    swapped = [*args[:number], other, one, *args[number + 2 :]]
                    yield "swapped arguments", node, ast.unparse(ast.Call(function, swapped, keywords))
        case ast.Break() | ast.Continue():
            yield "jump", node, "continue" if isinstance(node, ast.Break) else "break"


def _text(node: ast.expr) -> str:
    return f"({ast.unparse(node)})"


def _is_not(node: ast.expr) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)


def _name(function: ast.expr) -> str:
    return ast.unparse(function).rpartition(".")[2] if isinstance(function, (ast.Name, ast.Attribute)) else ""


def find_mutants(path: str, source: str) -> list[Mutant]:
    """Return all mutants of a module, ordered by place.

    :param path: of the module, relative to the repository.
    """
    finder = MutantFinder()
    finder.visit(ast.parse(source))
    starts = [0]
    for row in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(row))
    mutants = []
    for kind, node, text, function in finder.found:
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[node.end_lineno - 1] + node.end_col_offset
        mutants.append(Mutant(path, node.lineno, kind, function, start, end, text))
    return sorted(mutants, key=lambda one: (one.start, one.end, one.kind, one.text))


def sample(root: Path, seed: int, count: int) -> tuple[list[Mutant], int]:
    """Return the chosen mutants, ordered by place, and how many there are altogether."""
    paths = sorted(path.relative_to(root).as_posix() for path in (root / CODE).rglob("*.py"))
    mutants = [mutant for path in paths for mutant in find_mutants(path, (root / path).read_text())]
    chosen = random.Random(seed).sample(range(len(mutants)), min(count, len(mutants)))  # noqa: S311 - to be repeated
    return [mutants[number] for number in sorted(chosen)], len(mutants)


# --- Tests that reach a mutant ---------------------------------------------------------------------------------------


@dataclass
class Reach:
    """What a test reaches.

    :param functions: the functions that it calls, as ``path:line``.
    :param cost: the seconds of the processor that it takes, and a part of those that it waits.
    :param passed: whether it passes without any mutant.
    """

    functions: list[str]
    cost: float
    passed: bool


class Recorder:
    """Records which functions of the package are called.

    :param root: the repository.
    """

    def __init__(self, root: Path) -> None:
        self._root = f"{root}/"
        self._names: dict[CodeType, str | None] = {}
        self.reached: set[str] = set()

    def __enter__(self) -> None:
        self.reached = set()
        threading.settrace(self._trace)
        sys.settrace(self._trace)

    def __exit__(self, *error: object) -> None:
        sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if code not in self._names:
            is_ours = code.co_filename.startswith(f"{self._root}{PACKAGE}/")
            name = f"{code.co_filename[len(self._root) :]}:{code.co_firstlineno}"
            self._names[code] = name if is_ours else None
        if found := self._names[code]:
            self.reached.add(found)


def choose_tests(mutant: Mutant, reaches: dict[str, Reach], users: Sequence[str]) -> list[str]:
    """Return the tests of a mutant in the order to run them: mirrored file, then the closest, then the quickest.

    They reach its function; or if no test does, because it runs at import or is none, its module or one that imports
    that.

    :param users: modules that import the module.
    """
    inner = Path("tests") / Path(mutant.path).relative_to(PACKAGE)
    mirrored = (inner.parent / f"test_{inner.stem.strip('_')}.py", inner.parent.parent / f"test_{inner.parent.name}.py")
    modules = tuple(f"{path}:" for path in (mutant.path, *users))

    def distance(test: str) -> int:
        path = Path(test.partition("::")[0])
        shared = Path(os.path.commonpath([path.parent, inner.parent]))
        return -1 if path in mirrored else len(inner.parts) - len(shared.parts)

    def uses_module(test: str) -> bool:
        return distance(test) < 0 or any(function.startswith(modules) for function in reaches[test].functions)

    passing = [test for test, reach in reaches.items() if reach.passed]
    found = [test for test in passing if f"{mutant.path}:{mutant.function}" in reaches[test].functions]
    return sorted(found or filter(uses_module, passing), key=lambda test: (distance(test), reaches[test].cost))


def affordable(tests: Sequence[str], reaches: dict[str, Reach], budget: float) -> list[str]:
    """Return the first tests that together cost no more than the budget, and at least one."""
    chosen: list[str] = []
    for test in tests:
        budget -= reaches[test].cost
        if budget < 0 and chosen:
            break
        chosen.append(test)
    return chosen


def users_of(path: str, root: Path) -> list[str]:
    """Return the modules that import a module."""
    name = path.removesuffix(".py").replace("/", ".")
    folder, _, last = name.rpartition(".")
    marks = (f"from {name} import", f"from {folder} import {last}", f"import {name}")
    paths = sorted((root / PACKAGE).rglob("*.py"))
    return [one.relative_to(root).as_posix() for one in paths if any(mark in one.read_text() for mark in marks)]


# --- Processes -------------------------------------------------------------------------------------------------------


def run_forked(
    tasks: Sequence[Callable[[], T]], limits: Sequence[float], workers: int
) -> Iterator[tuple[int, T | None]]:
    """Run each task in a process of its own; yield its number and its result, or ``None`` if it took too long or died.

    :param limits: the seconds of the processor that each may take.
    """
    running: dict[int, tuple[int, Path, float, float]] = {}
    waiting = list(range(len(tasks)))[::-1]
    while waiting or running:
        while waiting and len(running) < workers:
            number, folder = waiting.pop(), Path(tempfile.mkdtemp(prefix="mutants-"))
            process = os.fork() or _run_and_exit(tasks[number], folder)
            running[process] = number, folder, 0.0, time.monotonic()
        time.sleep(0.05)
        for process, (number, folder, used, since) in list(running.items()):
            if not os.waitpid(process, os.WNOHANG)[0]:
                times = psutil.Process(process).cpu_times()
                now = times.user + times.system
                if now > used + IDLE / 20:
                    running[process] = number, folder, now, time.monotonic()
                if now < limits[number] and (time.monotonic() < since + IDLE or not _is_waiting(process)):
                    continue
                for one in [*psutil.Process(process).children(recursive=True), psutil.Process(process)]:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        one.kill()
                os.waitpid(process, 0)
            result, failure = folder / "result.json", folder / "failure.txt"
            if failure.exists():
                raise RuntimeError(failure.read_text())
            yield number, json.loads(result.read_text()) if result.exists() else None
            del running[process]
            shutil.rmtree(folder, ignore_errors=True)


def _is_waiting(process: int) -> bool:
    """Return whether neither a process nor its descendants would use a processor if they got one."""
    parent = psutil.Process(process)
    stats = [
        path
        for one in (parent, *parent.children(recursive=True))
        for path in Path(f"/proc/{one.pid}/task").glob("*/stat")
    ]
    states = []
    for path in stats:
        with contextlib.suppress(OSError):
            states.append(path.read_text().rpartition(")")[2].split()[0])
    return not {"R", "D"} & set(states)


def _run_and_exit(work: Callable[[], object], folder: Path) -> int:
    """Do the work without output and with temporary files of its own, write its result, and end the process."""
    try:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        folder.chmod(0o755)  # database servers run as another user
        (folder / "tmp").mkdir()
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder / "tmp")
        silent = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(silent, number)
        result = json.dumps(work())
        (folder / "result.new").write_text(result)
        (folder / "result.new").rename(folder / "result.json")
    except BaseException:  # noqa: BLE001 - the parent raises it
        (folder / "failure.txt").write_text(traceback.format_exc())
    finally:
        os._exit(0)


class Hooks:
    """A plugin of pytest that makes property tests repeatable, and few of their examples enough."""

    def pytest_configure(self) -> None:
        """Let property tests try the same few examples each time, and stop at the first that fails."""
        settings.register_profile(
            "mutants", deadline=None, derandomize=True, database=None, max_examples=15,
            phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        settings.load_profile("mutants")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Leave out Airflow's metadata database, which takes seconds to create and which no test of core uses."""
        with contextlib.suppress(ImportError):
            importlib.import_module("support.airflow_home").create_metadata_database = lambda *_: None


class RecordingHooks(Hooks):
    """Records what each test reaches."""

    def __init__(self, root: Path) -> None:
        self._recorder = Recorder(root)
        self.reaches: dict[str, Reach] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Record what the test and the fixtures that it starts reach."""
        failed, seconds, cost = item.session.testsfailed, time.monotonic(), time.process_time()
        with self._recorder:
            result = yield
        seconds, cost = time.monotonic() - seconds, time.process_time() - cost
        passed = item.session.testsfailed == failed
        self.reaches[item.nodeid] = Reach(sorted(self._recorder.reached), cost + seconds / 10, passed)
        return result


class ChosenHooks(Hooks):
    """Runs the chosen tests in their order and notes the first that fails."""

    def __init__(self, tests: Sequence[str]) -> None:
        self._tests = tests
        self.failed: str | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave the chosen tests."""
        found = {item.nodeid: item for item in items}
        items[:] = [found[test] for test in self._tests if test in found]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a failure."""
        if report.failed and self.failed is None:
            self.failed = report.nodeid


def run_pytest(files: Sequence[str], hooks: Hooks, *options: str) -> int:
    """Run test files and return pytest's exit code."""
    # The package has a plugin of pytest. The installed one must not be imported instead of the package below the root;
    # and pytest would rewrite the asserts of the package's modules, and so load them unchanged.
    fixed = ["-q", "--capture=sys", "-p", "no:toggl", "--assert=plain"]
    fixed += ["-p", "no:randomly", "-p", "no:cacheprovider", "--timeout=0", "-m", MARKERS]
    # Plugins that were imported before the fork.
    fixed += ["-W", "ignore:Module already imported so cannot be rewritten"]
    return int(pytest.main([*fixed, *options, *files], plugins=[hooks]))


def record_file(root: Path, file: str) -> dict[str, Any]:
    """Run the tests of a file and return what each reaches."""
    hooks = RecordingHooks(root)
    run_pytest([file], hooks)
    return {test: asdict(reach) for test, reach in hooks.reaches.items()}


def try_mutant(root: Path, mutant: Mutant | None, tests: Sequence[str]) -> dict[str, str | None]:
    """Import the changed module and run tests; return the first that fails."""
    if mutant:
        change_module(mutant, root)
    hooks = ChosenHooks(tests)
    code = run_pytest(list(dict.fromkeys(test.partition("::")[0] for test in tests)), hooks, "-x")
    # A file that cannot be imported fails before any test runs.
    is_error = code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    return {"failed": hooks.failed or ("error" if is_error else None)}


def change_module(mutant: Mutant, root: Path) -> None:
    """Let Python import the module with the change."""
    path, get_code = str(root / mutant.path), SourceFileLoader.get_code
    changed = compile(mutant.apply(Path(path).read_text()), path, "exec", dont_inherit=True)

    def get_changed(loader: SourceFileLoader, name: str) -> CodeType | None:
        return changed if loader.path == path else get_code(loader, name)

    SourceFileLoader.get_code = get_changed  # type: ignore[method-assign]


# --- The program -----------------------------------------------------------------------------------------------------


def progress(text: str) -> None:
    """Print a line for who waits."""
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


def record(root: Path, workers: int, kept: Path | None) -> dict[str, Reach]:
    """Return what each test reaches, from the kept file or by running all tests once."""
    if kept and kept.exists():
        return {test: Reach(**one) for test, one in json.loads(kept.read_text()).items()}
    files = sorted(path.relative_to(root).as_posix() for path in (root / TESTS).rglob("test_*.py"))
    found: dict[str, Any] = {}
    tasks = [partial(record_file, root, file) for file in files]
    for count, (number, reaches) in enumerate(run_forked(tasks, [900.0] * len(files), workers), 1):
        progress(f"{count} of {len(files)} test files: {files[number]}, {len(reaches or {})} tests")
        found |= reaches or {}
    if kept:
        kept.write_text(json.dumps(found))
    return {test: Reach(**one) for test, one in found.items()}


def try_all(
    root: Path, mutants: Sequence[Mutant], reaches: dict[str, Reach], workers: int, kept: Path | None
) -> dict[Mutant, str]:
    """Return the result of each mutant: ``survived``, ``undecided``, ``time``, ``error`` or the test that failed.

    :param kept: a file that gets a line for each mutant that is killed.
    """
    left = {mutant: choose_tests(mutant, reaches, users_of(mutant.path, root)) for mutant in mutants}
    results = {mutant: "undecided" if tests else "survived" for mutant, tests in left.items()}
    for number, budget in enumerate(PASSES, 1):
        tried = [mutant for mutant, result in results.items() if result == "undecided"]
        chosen = [affordable(left[mutant], reaches, budget) for mutant in tried]
        tasks = [partial(try_mutant, root, mutant, tests) for mutant, tests in zip(tried, chosen, strict=True)]
        limits = [30 + 5 * sum(reaches[test].cost for test in tests) for tests in chosen]
        for count, (index, result) in enumerate(run_forked(tasks, limits, workers), 1):
            mutant = tried[index]
            left[mutant] = left[mutant][len(chosen[index]) :]
            passed = "undecided" if left[mutant] else "survived"
            results[mutant] = result["failed"] or passed if result else "time"
            place = f"{mutant.path.removeprefix(CODE)}:{mutant.line} {mutant.kind}"
            progress(f"pass {number}, {count} of {len(tried)}: {place}: {results[mutant]}")
            if kept and is_killed(results[mutant]):
                with kept.open("a") as lines:
                    print(json.dumps([asdict(mutant), results[mutant]]), file=lines)
    return results


def is_killed(result: str) -> bool:
    """Return whether a result is a test that failed, or another way to notice the mutant."""
    return not result.startswith(("survived", "undecided", "excluded"))


def read_killed(kept: Path | None) -> dict[Mutant, str]:
    """Return the mutants that earlier runs of the same sample killed, with what failed."""
    if kept is None or not kept.exists():
        return {}
    return {Mutant(**mutant): result for mutant, result in map(json.loads, kept.read_text().splitlines())}


def try_unchanged(root: Path, mutants: Sequence[Mutant], reaches: dict[str, Reach], workers: int) -> list[str]:
    """Run the tests of some mutants without a change; return those that fail, which show nothing about a mutant."""
    some = [choose_tests(mutant, reaches, []) for mutant in mutants[:: max(1, len(mutants) // UNCHANGED)]]
    tasks = [partial(try_mutant, root, None, affordable(tests, reaches, PASSES[0])) for tests in some if tests]
    found = [result for _, result in run_forked(tasks, [600.0] * len(tasks), workers)]
    return [result["failed"] if result else "time" for result in found if result != {"failed": None}]


def exclusion(mutant: Mutant, root: Path) -> str | None:
    """Return the result ``excluded`` with its rule, if one holds."""
    text = " ".join([mutant.kind, *mutant.diff((root / mutant.path).read_text())])
    return next((f"excluded: {rule}" for rule, pattern in EXCLUDED.items() if re.search(pattern, text)), None)


def report(root: Path, results: dict[Mutant, str]) -> dict[str, Any]:
    """Return the counts, for each folder too, and the mutants that were not killed."""
    folders: dict[str, Counter[str]] = defaultdict(Counter)
    left = []
    for mutant, result in results.items():
        state = "killed" if is_killed(result) else result.partition(":")[0]
        inner = Path(mutant.path).relative_to(CODE).parts
        folders[inner[0] if len(inner) > 1 else "."][state] += 1
        if state != "killed":
            diff = mutant.diff((root / mutant.path).read_text())
            left.append({"place": f"{mutant.path}:{mutant.line}", "kind": mutant.kind, "result": result, "diff": diff})
    return {
        **counted(sum(folders.values(), Counter())),
        "folders": {name: counted(states) for name, states in sorted(folders.items())},
        "kills without a failed test": {how: list(results.values()).count(how) for how in ("time", "error")},
        "left": left,
    }


def counted(states: Counter[str]) -> dict[str, float]:
    """Return the counts of states, and the killed ones in percent of those that are not excluded."""
    names = ("killed", "survived", "undecided", "excluded")
    share = 100 * states["killed"] / max(1, states.total() - states["excluded"])
    return {**{name: states[name] for name in names}, "percent killed": round(share, 1)}


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="chooses the mutants (1)")
    parser.add_argument("--mutants", type=int, default=400, help="how many to try (400)")
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout to measure (this one)")
    parser.add_argument("--reach", type=Path, help="a file that keeps what tests reach; made if it is missing")
    parser.add_argument("--killed", type=Path, help="a file that keeps the killed mutants, which are not tried again")
    return parser.parse_args(arguments)


def main() -> None:
    """Try the mutants and print the report."""
    options = parse_arguments()
    root = options.root.resolve()
    os.chdir(root)
    sys.path.insert(0, str(root))
    sys.dont_write_bytecode = True
    for name in LIBRARIES:
        importlib.import_module(name)
    mutants, possible = sample(root, options.seed, options.mutants)
    reaches = record(root, options.workers, options.reach)
    results = {mutant: rule for mutant in mutants if (rule := exclusion(mutant, root))}
    killed = read_killed(options.killed)
    results |= {mutant: killed[mutant] for mutant in mutants if mutant in killed}
    tried = [mutant for mutant in mutants if mutant not in results]
    results |= try_all(root, tried, reaches, options.workers, options.killed)
    checks = {
        "failed without a change": try_unchanged(root, tried, reaches, options.workers),
        "tests": len(reaches),
        "unusable tests": sorted(test for test, reach in reaches.items() if not reach.passed),
    }
    print(json.dumps({"seed": options.seed, "possible": possible, **report(root, results), **checks}, indent=2))


if __name__ == "__main__":
    main()
