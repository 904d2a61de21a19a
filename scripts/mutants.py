"""Measures how well the tests notice faults: changes the code in one place at a time and runs the tests that reach it.

Such a change is a *mutant*; it is killed if a test fails or takes too long. A seed chooses the mutants, so a run can be
repeated. Places that no test should hold are left out: log lines, docstrings, f-strings, messages of exceptions,
annotations, decorators, and what only type checkers read.

One process collects the tests below ``tests/core``, runs each file once and records which functions each test reaches.
Then it forks for each mutant: the fork exchanges the code of the function in memory and runs the tests that reach it,
those of the mirrored file first. A mutant outside of functions, such as a constant, needs a new import: it is tried in
a fork that has imported third-party libraries only.

Prints JSON: the share of killed mutants, for each folder too, and the survivors.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import difflib
import gc
import importlib
import importlib.util
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any, TypeAlias, TypeVar

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "airflow_provider_toggl"
TESTS = "tests/core"
#: Tests that face Airflow or take long are not run.
MARKERS = "not (airflow or browser or slow or soak or installs or newest)"
#: Parameters and fixtures of tests that start a database server; they are not run either.
SERVERS = ("postgres", "mariadb", "mysql", "ansi")
#: Imported before the forks. Not Airflow, which reads its home at import, nor polars, which starts threads.
LIBRARIES = (
    "pytest", "hypothesis", "duckdb", "pandas", "pyarrow.parquet", "psycopg", "requests", "msgspec",
    "pendulum", "pytz", "starlette.applications", "uvicorn", "sqlite3", "mysql.connector",
)  # fmt: skip
#: The exit code of a process that could not run the tests. It says nothing about a mutant.
BROKEN = 70
UNCHANGED = "unchanged"
#: A mutant may not use more memory.
MEMORY = 12 << 30
#: How many test files are collected for a mutant that needs a new import.
FILES = 4

Replacement: TypeAlias = "tuple[str, ast.AST, str]"
T = TypeVar("T")

# --- Mutants ---------------------------------------------------------------------------------------------------------

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
#: Calls with the same result if their arguments are swapped, or whose arguments are types.
SYMMETRIC = {"min", "max", "compare_digest", "cast", "TypeVar", "NewType"}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Mutant:
    """One change of one file.

    :param path: the file, relative to the repository.
    :param line: of the change.
    :param kind: what is changed, such as ``comparison``.
    :param function: the first line of the function around it, or 0 outside of functions.
    :param text: the whole changed file.
    :param diff: the changed lines.
    """

    path: str
    line: int
    kind: str
    function: int
    text: str = field(repr=False)
    diff: str


class MutantFinder(ast.NodeVisitor):
    """Collects the replacements of a module: kind, node to be replaced, new text, and first line of the function."""

    def __init__(self) -> None:
        self.found: list[tuple[str, ast.AST, str, int]] = []
        self._function = 0

    def visit(self, node: ast.AST) -> None:
        """Collect the replacements of a node and of those inside it."""
        if _is_left_out(node):
            for inner in node.orelse if isinstance(node, ast.If) else ():
                self.visit(inner)
            return
        self.found.extend((*replacement, self._function) for replacement in _replacements(node))
        super().visit(node)

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


@dataclass(frozen=True)
class Change:
    """A change that was found, before the changed file is made.

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

    def apply(self, source: str) -> Mutant:
        """Return the mutant; all other lines keep their numbers."""
        data = source.encode()
        removed = data[self.start : self.end].count(b"\n")
        ending = ")" if self.text.endswith(")") else ""
        padded = self.text.removesuffix(")") + "\n" * removed + ending
        text, shown = ((data[: self.start] + one.encode() + data[self.end :]).decode() for one in (padded, self.text))
        return Mutant(self.path, self.line, self.kind, self.function, text, _diff(source, shown))


def find_changes(path: str, source: str) -> list[Change]:
    """Return all changes of a module that make a mutant, ordered by place.

    :param path: of the module, relative to the repository.
    """
    finder = MutantFinder()
    finder.visit(ast.parse(source))
    starts = [0]
    for row in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(row))
    changes = []
    for kind, node, text, function in finder.found:
        place: Any = node
        start = starts[place.lineno - 1] + place.col_offset
        end = starts[place.end_lineno - 1] + place.end_col_offset
        changes.append(Change(path, place.lineno, kind, function, start, end, text))
    return sorted(changes, key=lambda one: (one.start, one.end, one.kind, one.text))


def _diff(before: str, after: str) -> str:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))


def _is_left_out(node: ast.AST) -> bool:
    """Return whether a node stays as it is, with what is inside it: texts, log lines, imports, abstract methods."""
    if isinstance(node, (ast.JoinedStr, ast.Import, ast.ImportFrom)):
        return True
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.unparse(node.test)
    if isinstance(node, ast.Raise):
        return node.exc is not None and "NotImplementedError" in ast.unparse(node.exc)
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Attribute):
        owner = ast.unparse(node.func.value)
        return owner in ("log", "logger", "self._log") and node.func.attr in LOG_METHODS
    return isinstance(node.func, ast.Name) and node.func.id == "log_line"


def _replacements(node: ast.AST) -> Iterator[Replacement]:
    """Return what may stand in place of a node: a kind, what is replaced, and the new text."""
    for kind, change in CHANGES.items():
        if isinstance(node, kind):
            yield from change(node)


def _compare(node: ast.Compare) -> Iterator[Replacement]:
    for number, operator in enumerate(node.ops):
        for other in COMPARISONS[type(operator)]:
            operators = [*node.ops[:number], other(), *node.ops[number + 1 :]]
            yield "comparison", node, _text(ast.Compare(node.left, operators, node.comparators))


def _boolean(node: ast.BoolOp) -> Iterator[Replacement]:
    yield "boolean", node, _text(ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values))
    for number in range(len(node.values)):
        rest = [*node.values[:number], *node.values[number + 1 :]]
        yield "operand", node, _text(ast.BoolOp(node.op, rest) if len(rest) > 1 else rest[0])


def _binary(node: ast.BinOp) -> Iterator[Replacement]:
    if other := ARITHMETIC.get(type(node.op)):
        yield "arithmetic", node, _text(ast.BinOp(node.left, other(), node.right))


def _augmented(node: ast.AugAssign) -> Iterator[Replacement]:
    if other := ARITHMETIC.get(type(node.op)):
        yield "arithmetic", node, ast.unparse(ast.AugAssign(node.target, other(), node.value))


def _unary(node: ast.UnaryOp) -> Iterator[Replacement]:
    if isinstance(node.op, (ast.Not, ast.USub)):
        yield "not" if isinstance(node.op, ast.Not) else "sign", node, _text(node.operand)


def _constant(node: ast.Constant) -> Iterator[Replacement]:
    if isinstance(node.value, bool):
        yield "constant", node, str(not node.value)
    elif isinstance(node.value, (int, float)):
        yield "constant", node, repr(node.value + 1)
        yield "constant", node, f"({node.value - 1!r})"


def _condition(node: ast.If | ast.While | ast.IfExp) -> Iterator[Replacement]:
    test = node.test
    if not isinstance(test, (ast.Compare, ast.Constant)) and not (
        isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
    ):
        yield "condition", test, _text(ast.UnaryOp(ast.Not(), test))


def _comprehension(node: ast.comprehension) -> Iterator[Replacement]:
    for test in node.ifs:
        yield "condition", test, "True"


def _return(node: ast.Return) -> Iterator[Replacement]:
    if node.value is None or (isinstance(node.value, ast.Constant) and node.value.value in (None, True, False)):
        return
    is_text = isinstance(node.value, ast.JoinedStr) or (
        isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    )
    yield "return", node, 'return ""' if is_text else "return None"


def _statement(node: ast.Expr) -> Iterator[Replacement]:
    call = node.value.value if isinstance(node.value, ast.Await) else node.value
    if isinstance(call, ast.Call) and not _is_left_out(call):
        yield "dropped call", node, "pass"


def _raise(node: ast.Raise) -> Iterator[Replacement]:
    yield "dropped raise", node, "pass"


def _arguments(node: ast.Call) -> Iterator[Replacement]:
    if any(isinstance(one, ast.Starred) for one in node.args):
        return
    if isinstance(node.func, (ast.Name, ast.Attribute)) and ast.unparse(node.func).split(".")[-1] in SYMMETRIC:
        return
    for number in range(len(node.args) - 1):
        if ast.unparse(node.args[number]) == ast.unparse(node.args[number + 1]):
            continue
        args = list(node.args)
        args[number : number + 2] = args[number + 1], args[number]
        yield "swapped arguments", node, ast.unparse(ast.Call(node.func, args, node.keywords))


def _jump(node: ast.Break | ast.Continue) -> Iterator[Replacement]:
    yield "jump", node, "continue" if isinstance(node, ast.Break) else "break"


CHANGES: dict[Any, Callable[[Any], Iterator[Replacement]]] = {
    ast.Compare: _compare,
    ast.BoolOp: _boolean,
    ast.BinOp: _binary,
    ast.AugAssign: _augmented,
    ast.UnaryOp: _unary,
    ast.Constant: _constant,
    (ast.If, ast.While, ast.IfExp): _condition,
    ast.comprehension: _comprehension,
    ast.Return: _return,
    ast.Expr: _statement,
    ast.Raise: _raise,
    ast.Call: _arguments,
    (ast.Break, ast.Continue): _jump,
}


def _text(node: ast.expr) -> str:
    return f"({ast.unparse(node)})"


# --- Tests that reach a function -------------------------------------------------------------------------------------


@dataclass
class Reach:
    """What a test reaches.

    :param functions: the functions that it calls, as ``path:line``.
    :param cost: the seconds of the processor that it takes, and a part of those that it waits.
    :param seconds: how long it takes.
    :param passed: whether it passes without any mutant.
    """

    functions: list[str] = field(default_factory=list)
    cost: float = 0.0
    seconds: float = 0.0
    passed: bool = True


def mirrored(path: str) -> list[str]:
    """Return where the tests of a module may be, relative to the repository."""
    inner = Path("tests") / Path(path).relative_to(PACKAGE)
    paths = (inner.parent / f"test_{inner.stem.strip('_')}.py", inner.parent.parent / f"test_{inner.parent.name}.py")
    return [one.as_posix() for one in paths]


def choose_tests(
    mutant: Mutant, reaches: dict[str, Reach], budget: float, users: Sequence[str] = (), files: int = 1000
) -> list[str]:
    """Return the tests to run for a mutant: those that reach its function, or if it is in none, its module.

    Those of the mirrored file go first, then those of the same folder, then the quick ones.

    :param budget: how many seconds they may cost.
    :param users: modules that import the module.
    :param files: how many files they may be in.
    """
    near = mirrored(mutant.path)
    folder = near[0].rpartition("/")[0]
    modules = tuple(f"{path}:" for path in (mutant.path, *users))
    found = {}
    for test, reach in reaches.items():
        is_near = test.partition("::")[0] in near
        if mutant.function:
            is_wanted = f"{mutant.path}:{mutant.function}" in reach.functions
        else:
            is_wanted = is_near or any(one.startswith(modules) for one in reach.functions)
        if reach.passed and is_wanted:
            found[test] = (not is_near, not test.startswith(folder), reach.cost)
    chosen: list[str] = []
    for test in sorted(found, key=lambda one: found[one]):
        budget -= reaches[test].cost
        paths = {one.partition("::")[0] for one in (*chosen, test)}
        if budget < 0 and chosen:
            break
        if len(paths) <= files:
            chosen.append(test)
    return chosen


def users_of(path: str, root: Path) -> list[str]:
    """Return the modules that import a module."""
    name = path.removesuffix(".py").replace("/", ".")
    folder, _, last = name.rpartition(".")
    marks = (f"from {name} import", f"from {folder} import {last}", f"import {name}")
    paths = [one.relative_to(root).as_posix() for one in (root / PACKAGE).rglob("*.py")]
    return [one for one in sorted(paths) if any(mark in (root / one).read_text() for mark in marks)]


class Recorder:
    """Records which functions of the package are called.

    :param root: the repository.
    """

    def __init__(self, root: Path) -> None:
        self._root = f"{root}/"
        self._names: dict[CodeType, str | None] = {}
        self._reached: set[str] = set()

    def functions(self) -> list[str]:
        """Return what was called."""
        return sorted(self._reached)

    def __enter__(self) -> None:
        self._reached = set()
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
            self._reached.add(found)


# --- Processes -------------------------------------------------------------------------------------------------------


def run_forked(
    tasks: Sequence[Callable[[], T]], limits: Sequence[float], workers: int, folder: Path
) -> Iterator[tuple[int, T | None]]:
    """Run each task in a process of its own, and yield its number and its result, or ``None`` if it took too long.

    :param limits: the seconds that each may take.
    :param folder: for temporary files.
    """
    running: dict[int, tuple[int, float, Path]] = {}
    waiting = list(range(len(tasks)))[::-1]
    while waiting or running:
        while waiting and len(running) < workers:
            number = waiting.pop()
            place = Path(tempfile.mkdtemp(prefix="t", dir=folder))
            child = os.fork()
            if child == 0:
                _run_and_exit(tasks[number], place)
            running[child] = number, time.monotonic() + limits[number], place
        time.sleep(0.01)
        for child, (number, end, place) in list(running.items()):
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid == 0 and time.monotonic() < end:
                continue
            result = place / "result.json"
            if pid == 0:
                for one in [*_descendants(child), child]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(one, signal.SIGKILL)
                os.waitpid(child, 0)
            elif os.waitstatus_to_exitcode(status) == BROKEN:
                raise RuntimeError(result.read_text())
            yield number, json.loads(result.read_text()) if pid and result.exists() else None
            del running[child]
            shutil.rmtree(place, ignore_errors=True)


def _run_and_exit(work: Callable[[], object], place: Path) -> None:
    """Do the work without output and with temporary files of its own, write its result, and end the process."""
    code = BROKEN
    try:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        (place / "tmp").mkdir()
        os.environ["TMPDIR"] = tempfile.tempdir = str(place / "tmp")
        silent = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(silent, number)
        (place / "result.json").write_text(json.dumps(work()))
        code = 0
    except BaseException:  # noqa: BLE001 - the exit code reports it
        (place / "result.json").write_text(traceback.format_exc())
    finally:
        os._exit(code)


def _descendants(process: int) -> list[int]:
    """Return the processes that a process and its children have started, the last ones first."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found = [process]
    for pid in found:
        found.extend(child for child, parent in parents.items() if parent == pid)
    return found[:0:-1]


# --- Trying mutants --------------------------------------------------------------------------------------------------


class Loop:
    """A plugin of pytest that does something else than running all tests, and makes property tests repeatable.

    :param work: called with pytest's session.
    """

    def __init__(self, work: Callable[[Any], object]) -> None:
        self._work = work
        self.result: object = None

    def pytest_configure(self) -> None:
        """Let property tests try the same few examples each time, and stop at the first that fails."""
        from hypothesis import HealthCheck, Phase, settings  # noqa: PLC0415 - after the tests' own profile

        settings.register_profile(
            "mutants", deadline=None, derandomize=True, database=None, max_examples=15,
            phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        settings.load_profile("mutants")

    def pytest_runtestloop(self, session: Any) -> bool | None:
        """Do the work, unless a file could not be collected."""
        if session.testsfailed:
            return None
        self.result = self._work(session)
        return True


def start_pytest(files: Sequence[str], work: Callable[[Any], T]) -> T | str:
    """Collect test files here and return the result of the work; ``error`` if they cannot be collected."""
    import pytest  # noqa: PLC0415 - see LIBRARIES

    fixed = ["-q", "-x", "--capture=sys", "-p", "no:randomly", "-p", "no:cacheprovider", "-m", MARKERS]
    # Plugins that were imported before the fork.
    fixed += ["-W", "ignore:Module already imported so cannot be rewritten"]
    loop = Loop(work)
    code = pytest.main([*fixed, *files], plugins=[loop])
    return "error" if code in (2, 3, 4) else loop.result  # type: ignore[return-value]


def run_tests(session: Any, tests: Sequence[str]) -> str | None:
    """Run collected tests in this order up to the first that fails; return it, or ``None`` if all pass."""
    items = {item.nodeid: item for item in session.items}
    order = [items[test] for test in tests if test in items]
    failed = None
    for item, following in zip(order, [*order[1:], None], strict=False):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            failed = str(item.nodeid)
            break
    session._setupstate.teardown_exact(None)  # noqa: SLF001 - as pytest does after the last test
    return failed


def needs_server(item: Any) -> bool:
    """Return whether a test starts a database server."""
    parameters = item.nodeid.partition("[")[2].replace("]", "-").split("-")
    return any(name in SERVERS for name in (*parameters, *item.fixturenames))


def record_reach(session: Any, tests: Sequence[str], root: Path) -> dict[str, Any]:
    """Run collected tests and return what each reaches."""
    items = {item.nodeid: item for item in session.items}
    order = [items[test] for test in tests]
    recorder, reaches = Recorder(root), {}
    for item, following in zip(order, [*order[1:], None], strict=True):
        failed, seconds, cost = session.testsfailed, time.monotonic(), time.process_time()
        with recorder:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        seconds, cost = time.monotonic() - seconds, time.process_time() - cost
        passed = session.testsfailed == failed
        reaches[item.nodeid] = asdict(Reach(recorder.functions(), cost + seconds / 10, seconds, passed))
    return reaches


def package_functions(root: Path) -> dict[str, list[FunctionType]]:
    """Return the functions of the package that are in memory, by file."""
    found: dict[str, list[FunctionType]] = defaultdict(list)
    for one in gc.get_objects():
        if isinstance(one, FunctionType) and one.__code__.co_filename.startswith(f"{root}/{PACKAGE}/"):
            found[one.__code__.co_filename].append(one)
    return found


def exchange_code(mutant: Mutant, root: Path, functions: dict[str, list[FunctionType]]) -> bool:
    """Exchange the code of the mutant's function in memory; return whether all of the change is in functions."""
    path = str(root / mutant.path)
    original = (root / mutant.path).read_text()
    old, new = (compile(text, path, "exec", dont_inherit=True) for text in (original, mutant.text))
    pairs = _changed_functions(old, new)
    return bool(pairs) and all(_exchange(*pair, functions.get(path, ()), is_outer=True) for pair in pairs)


def _exchange(before: CodeType, after: CodeType, functions: Sequence[FunctionType], *, is_outer: bool) -> bool:
    """Exchange a code and those inside it, whose functions may have been made while modules were imported."""
    found = [one for one in functions if one.__code__ == before]
    if (is_outer and not found) or (found and len(before.co_freevars) != len(after.co_freevars)):
        return False
    for function in found:
        function.__code__ = after
    olds, news = ([one for one in code.co_consts if isinstance(one, CodeType)] for code in (before, after))
    inner = [pair for pair in zip(olds, news, strict=False) if pair[0] != pair[1]]
    return all(_exchange(*pair, functions, is_outer=False) for pair in inner)


def _changed_functions(old: CodeType, new: CodeType) -> list[tuple[CodeType, CodeType]]:
    """Return the functions of a module or class that differ; none if something outside of them differs."""
    olds, news = ([one for one in code.co_consts if isinstance(one, CodeType)] for code in (old, new))
    if len(olds) != len(news) or _outside(old) != _outside(new):
        return []
    pairs = []
    for before, after in zip(olds, news, strict=True):
        if before != after:
            is_class = not before.co_flags & 1  # CO_OPTIMIZED: has fast local variables
            inner = _changed_functions(before, after) if is_class else [(before, after)]
            if not inner:
                return []
            pairs += inner
    return pairs


def _outside(code: CodeType) -> tuple[object, ...]:
    return code.co_code, code.co_names, [repr(one) for one in code.co_consts if not isinstance(one, CodeType)]


class ChangedImport:
    """A finder that imports one module with another text."""

    def __init__(self, mutant: Mutant, root: Path) -> None:
        self._name = mutant.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        self._path = str(root / mutant.path)
        self._code = compile(mutant.text, self._path, "exec")

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Return the spec of the changed module."""
        if name != self._name:
            return None
        code = self._code

        class Loader(SourceFileLoader):
            def get_code(self, fullname: str) -> CodeType:
                return code

        return importlib.util.spec_from_file_location(name, self._path, loader=Loader(name, self._path))


@dataclass
class Runner:
    """Tries mutants.

    :param root: the repository.
    :param workers: how many processes run at a time.
    :param budget: how many seconds the tests of a mutant may cost.
    :param kept: a file that keeps what tests reach.
    """

    root: Path
    workers: int
    budget: float
    kept: Path | None
    folder: Path

    def __post_init__(self) -> None:
        self._recorder = Recorder(self.root)

    def try_all(self, mutants: Sequence[Mutant]) -> tuple[dict[str, Reach], list[str | None]]:
        """Return what the tests reach, and for each mutant the test that killed it, or ``None`` if it survived."""

        def work() -> Any:
            self._recorder.__enter__()
            return start_pytest([TESTS], partial(self._in_memory, mutants))

        ((_, done),) = run_forked([work], [1e6], 1, self.folder)
        if not isinstance(done, list):
            raise SystemExit(f"The tests cannot be collected: {done}")
        reaches = {test: Reach(**one) for test, one in done[0].items()}
        results: list[str | None] = done[1]
        again = [number for number, result in enumerate(results) if result == "import"]
        for number, result in self._by_import([mutants[one] for one in again], reaches):
            results[again[number]] = result
            self._show(f"{number + 1} of {len(again)} by import", mutants[again[number]], result)
        return reaches, results

    def _in_memory(self, mutants: Sequence[Mutant], session: Any) -> list[Any]:
        """Return what the tests reach, and the results of all mutants; ``import`` for those that need a new import."""
        self._recorder.__exit__()
        at_import = self._recorder.functions()
        known = json.loads(self.kept.read_text()) if self.kept and self.kept.exists() else {}
        known |= self._reach(session, known)
        if self.kept:
            self.kept.write_text(json.dumps(known))
        reaches = {test: Reach(**one) for test, one in known.items()}
        chosen = [choose_tests(mutant, reaches, self.budget) for mutant in mutants]

        functions = package_functions(self.root)

        def attempt(mutant: Mutant, tests: list[str]) -> str | None:
            is_same = mutant.kind == UNCHANGED
            if not (mutant.function and tests and (is_same or exchange_code(mutant, self.root, functions))):
                return "import"
            # What a function returned while modules were imported is kept in their constants.
            survived = "import" if f"{mutant.path}:{mutant.function}" in at_import and not is_same else None
            return run_tests(session, tests) or survived

        tasks = [partial(attempt, *one) for one in zip(mutants, chosen, strict=True)]
        limits = [_limit(tests, reaches) for tests in chosen]
        gc.freeze()
        results: list[str | None] = [None] * len(mutants)
        for count, (number, result) in enumerate(self._run(tasks, limits), 1):
            results[number] = result
            self._show(f"{count} of {len(mutants)}", mutants[number], result)
        return [known, results]

    def _by_import(self, mutants: Sequence[Mutant], reaches: dict[str, Reach]) -> Iterator[tuple[int, str | None]]:
        """Yield the results of mutants that are imported anew."""

        def attempt(mutant: Mutant, tests: list[str]) -> str | None:
            sys.meta_path.insert(0, ChangedImport(mutant, self.root))
            files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
            return start_pytest(files, lambda session: run_tests(session, tests)) if files else None

        tests = [self._by_module(mutant, reaches) for mutant in mutants]
        tasks = [partial(attempt, *one) for one in zip(mutants, tests, strict=True)]
        yield from self._run(tasks, [30 + _limit(some, reaches) for some in tests])

    def _by_module(self, mutant: Mutant, reaches: dict[str, Reach]) -> list[str]:
        """Return tests that reach the function, or if there is none, the module or those that import it."""
        key = f"{mutant.path}:{mutant.function}"
        is_called = any(key in reach.functions for reach in reaches.values())
        if mutant.function and is_called and (found := choose_tests(mutant, reaches, self.budget, files=FILES)):
            return found
        return choose_tests(replace(mutant, function=0), reaches, self.budget, users_of(mutant.path, self.root), FILES)

    def _reach(self, session: Any, known: Container[str]) -> dict[str, Any]:
        """Return what each test reaches that is not known yet."""
        files: dict[str, list[str]] = {}
        for item in session.items:
            if not needs_server(item) and item.nodeid not in known:
                files.setdefault(item.nodeid.partition("::")[0], []).append(item.nodeid)
        tasks = [partial(record_reach, session, tests, self.root) for tests in files.values()]
        limits = [900.0] * len(tasks)
        found: dict[str, Any] = {}
        for count, (number, reaches) in enumerate(run_forked(tasks, limits, self.workers, self.folder), 1):
            progress(f"{count} of {len(tasks)} test files: {list(files)[number]}")
            found |= reaches or {}
        return {test: found[test] for tests in files.values() for test in tests if test in found}

    def _run(
        self, tasks: Sequence[Callable[[], str | None]], limits: Sequence[float]
    ) -> Iterator[tuple[int, str | None]]:
        """Yield the results; a mutant whose process was killed or crashed has the result ``time``."""

        def listed(task: Callable[[], str | None]) -> list[str | None]:
            return [task()]

        for number, result in run_forked([partial(listed, task) for task in tasks], limits, self.workers, self.folder):
            yield number, "time" if result is None else result[0]

    def _show(self, count: str, mutant: Mutant, result: str | None) -> None:
        progress(f"{count}: {mutant.path}:{mutant.line} {mutant.kind}: {result or 'survived'}")


def _limit(tests: Sequence[str], reaches: dict[str, Reach]) -> float:
    """Return how many seconds tests may take; a busy machine must not kill mutants."""
    return 60 + 6 * sum(reaches[test].seconds for test in tests)


# --- The program -----------------------------------------------------------------------------------------------------

_terminal = os.dup(2)


def progress(text: str) -> None:
    """Print a line for who waits, also while pytest captures the output."""
    os.write(_terminal, f"{time.strftime('%H:%M:%S')} {text}\n".encode())


def share(killed: int, count: int) -> float:
    """Return the share of killed mutants in percent."""
    return round(100 * killed / count, 1) if count else 100.0


def report(tried: Sequence[tuple[Mutant, str | None]]) -> dict[str, Any]:
    """Return the counts, for each folder too, and the survivors."""
    folders: dict[str, list[bool]] = defaultdict(list)
    hows: dict[str, int] = defaultdict(int)
    for mutant, how in tried:
        parts = Path(mutant.path).parts
        folders["/".join(parts[1:3]) if len(parts) > 3 else "/".join(parts[1:2])].append(how is not None)
        hows[how if how in ("time", "error") else "survived" if how is None else "test"] += 1
    killed = sum(sum(results) for results in folders.values())
    return {
        "mutants": len(tried),
        "killed": killed,
        "share": share(killed, len(tried)),
        "by": dict(sorted(hows.items())),
        "folders": {
            name: {"mutants": len(results), "killed": sum(results), "share": share(sum(results), len(results))}
            for name, results in sorted(folders.items())
        },
        "survivors": [
            {"place": f"{mutant.path}:{mutant.line}", "kind": mutant.kind, "diff": mutant.diff.splitlines()}
            for mutant, how in tried
            if how is None
        ],
    }


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="chooses the mutants (1)")
    parser.add_argument("--mutants", type=int, default=400, help="how many to try (400)")
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout to measure (this one)")
    parser.add_argument("--code", default=f"{PACKAGE}/core", help=f"the folder to change ({PACKAGE}/core)")
    parser.add_argument("--budget", type=float, default=10, help="seconds that the tests of a mutant may cost (10)")
    parser.add_argument("--reach", type=Path, help="a file that keeps what tests reach; made if it is missing")
    parser.add_argument(
        "--unchanged", type=int, default=10, help="tries without any change, which no test may kill (10)"
    )
    parser.add_argument("--again", type=Path, help="a report of an earlier run: try only its survivors")
    return parser.parse_args(arguments)


def sample(root: Path, code: str, seed: int, count: int) -> tuple[list[Mutant], int]:
    """Return the chosen mutants of a folder, ordered by place, and how many there are altogether."""
    paths = sorted(path.relative_to(root).as_posix() for path in (root / code).rglob("*.py"))
    sources = {path: (root / path).read_text() for path in paths}
    changes = [change for path, source in sources.items() for change in find_changes(path, source)]
    chosen = random.Random(seed).sample(range(len(changes)), min(count, len(changes)))  # noqa: S311 - to be repeated
    return [changes[number].apply(sources[changes[number].path]) for number in sorted(chosen)], len(changes)


def survivors_of(path: Path, mutants: Sequence[Mutant]) -> list[Mutant]:
    """Return the mutants that an earlier report lists as survivors."""
    known = {(one["place"], one["kind"], *one["diff"]) for one in json.loads(path.read_text())["survivors"]}
    return [one for one in mutants if (f"{one.path}:{one.line}", one.kind, *one.diff.splitlines()) in known]


def main() -> None:
    """Try the mutants and print the report."""
    options = parse_arguments()
    root = options.root.resolve()
    mutants, count = sample(root, options.code, options.seed, options.mutants)
    if options.again:
        mutants = survivors_of(options.again, mutants)
    # Some are tried without their change too: a test that fails there fails for another reason.
    every = max(1, len(mutants) // max(1, options.unchanged))
    unchanged = [unchanged_at(one, root) for one in mutants[::every][: options.unchanged]]
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    os.chdir(root)
    sys.path.insert(0, str(root))
    sys.dont_write_bytecode = True
    package = importlib.util.find_spec(PACKAGE)
    if package is None or package.origin != str(root / PACKAGE / "__init__.py"):
        raise SystemExit(f"{PACKAGE} is not imported from {root}.")
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        runner = Runner(root, options.workers, options.budget, options.reach, Path(folder))
        reaches, results = runner.try_all([*mutants, *unchanged])
    wrong = results[len(mutants) :]
    checks = {
        "unchanged": {"tried": len(wrong), "killed": [one for one in wrong if one]},
        "tests": len(reaches),
        "unusable tests": sorted(test for test, reach in reaches.items() if not reach.passed),
    }
    tried = list(zip(mutants, results[: len(mutants)], strict=True))
    print(json.dumps({"seed": options.seed, "possible": count, **checks, **report(tried)}, indent=2))


def unchanged_at(mutant: Mutant, root: Path) -> Mutant:
    """Return a mutant of the same place that changes nothing."""
    return replace(mutant, kind=UNCHANGED, text=(root / mutant.path).read_text(), diff="")


if __name__ == "__main__":
    main()
