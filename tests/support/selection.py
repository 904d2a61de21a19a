"""Selects tests: unit tests for ``make check``, and some cases of each table for the oldest Airflow. Nothing is listed.

A unit test is in a folder that mirrors the package (or in ``architecture``). Neither its code nor that of its fixtures,
nor any function of the tests that they call, uses a module that starts processes. These are no unit tests either:

- tests that face Airflow or take long, by their markers;
- contract tests, which run on all engines, and those of Iceberg, whose catalogs and files take long to make;
- tests of ``core`` that read from a sandbox over HTTP;
- property tests with settings of their own, which need many examples. Other property tests run with few examples.

``--cases N`` runs at most N cases of each parametrized test, spread evenly over its table. All of them use Airflow
alike, so a second version of Airflow needs only some.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from support.repository import PACKAGE, ROOT

settings.register_profile("few", max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])

MARKERS = ("airflow", "browser", "slow", "soak", "installs")
PROCESSES = ("multiprocessing", "selenium", "subprocess", "concurrent.futures.process")
PROCESS_CLASSES = ("ProcessPoolExecutor", "SandboxProcess")
#: Parameters of tests that run on a database server.
SERVERS = {"ansi", "mariadb", "mysql", "postgres"}

#: Folders of tests that mirror the package, and those of its architecture.
FOLDERS = {path.name for path in (ROOT / PACKAGE).iterdir() if path.is_dir()} | {"architecture"}

_known: dict[int, tuple[Any, bool]] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option ``--cases``."""
    parser.addoption("--cases", type=int, metavar="N", help="run at most N cases of each parametrized test")


def pytest_configure(config: pytest.Config) -> None:
    """Use few examples if only unit tests run."""
    if config.option.markexpr == "unit":
        settings.load_profile("few")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the unit tests, remove cases beyond ``--cases``, and put long tests first."""
    for item in items:
        if isinstance(item, pytest.Function) and is_unit_test(item):
            item.add_marker("unit")
    if config.option.cases:
        kept = some_cases([item.nodeid for item in items], config.option.cases)
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in kept])
        items[:] = [item for item in items if item.nodeid in kept]
    # Long tests come first, so that at the end no process is alone with one.
    items.sort(key=lambda item: not any(item.get_closest_marker(name) for name in MARKERS))


def some_cases(ids: Sequence[str], most: int) -> set[str]:
    """Return the tests to run: of each parametrized test at most ``most`` cases, spread evenly over its table."""
    tables: dict[str, list[str]] = {}
    for id_ in sorted(ids):
        tables.setdefault(id_.partition("[")[0], []).append(id_)
    kept: set[str] = set()
    for cases in tables.values():
        count = min(most, len(cases))
        kept.update(cases[number * len(cases) // count] for number in range(count))
    return kept


def is_unit_test(item: pytest.Function) -> bool:
    """Return whether a test is a unit test."""
    folders = item.path.relative_to(ROOT / "tests").parts
    if folders[0] not in FOLDERS or {"contracts", "iceberg"} & set(folders):
        return False
    if folders[0] != "sandbox" and "sandbox_host" in item.fixturenames:
        return False
    if getattr(item.function, "_hypothesis_internal_settings_applied", False):
        return False
    return not needs_process(item)


def needs_process(item: pytest.Function) -> bool:
    """Return whether a test needs a process, a database server, a browser or much time."""
    if any(item.get_closest_marker(name) for name in MARKERS):
        return True
    callspec = getattr(item, "callspec", None)
    parameters = callspec.params.values() if callspec else ()
    if any(isinstance(value, str) and value in SERVERS for value in parameters):
        return True
    fixtures = [one for found in item._fixtureinfo.name2fixturedefs.values() for one in found[-1:]]
    return any(_starts_processes(one) for one in (item.function, *(fixture.func for fixture in fixtures)))


def _starts_processes(value: Any) -> bool:
    """Return whether a function or class of the tests uses processes, itself or through what it calls."""
    if id(value) in _known:
        return _known[id(value)][1]
    _known[id(value)] = (value, False)  # for functions that call each other
    found = any(map(_is_process, _used_by(value)))
    _known[id(value)] = (value, found)
    return found


def _is_process(used: Any) -> bool:
    if isinstance(used, str):
        return used.startswith(PROCESSES)
    if isinstance(used, ModuleType):
        return used.__name__.startswith(PROCESSES)
    if getattr(used, "__name__", "") in PROCESS_CLASSES:
        return True
    return _is_of_tests(used) and _starts_processes(used)


def _is_of_tests(value: Any) -> bool:
    if not isinstance(value, (FunctionType, type)):
        return False
    return not value.__module__.startswith("airflow") and value.__module__.startswith(("support", "test", "conftest"))


def _used_by(value: Any) -> Iterator[Any]:
    """Return what a function or class uses: global objects, attributes of modules, and names of modules it imports."""
    if isinstance(value, type):
        yield from (getattr(one, "__wrapped__", one) for one in vars(value).values() if isinstance(one, FunctionType))
        return
    value = getattr(value, "__wrapped__", value)
    if not isinstance(value, FunctionType):
        return
    names = set(_names(value.__code__))
    for name in names:
        used = value.__globals__.get(name, name)
        yield getattr(used, "__wrapped__", used)
        if isinstance(used, ModuleType) and used.__name__.startswith("support"):
            yield from (getattr(used, attribute) for attribute in names if hasattr(used, attribute))
    if any(name.startswith("support.servers.") for name in names):
        yield "subprocess"


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
