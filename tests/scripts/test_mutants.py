"""Tests of the program that changes the code to see whether tests notice."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from support.repository import ROOT


@pytest.fixture(scope="module")
def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mutants", ROOT / "scripts" / "mutants.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mutants"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def changed_lines(program: ModuleType, source: str) -> list[str]:
    mutants = [change.apply(source) for change in program.find_changes("a.py", source)]
    return [line[1:].strip() for mutant in mutants for line in mutant.diff.splitlines() if line.startswith("+")]


@pytest.mark.parametrize(
    ("source", "changed"),
    [
        ("x = a < b", ["x = (a <= b)", "x = (a >= b)"]),
        ("x = a == b", ["x = (a != b)"]),
        ("x = a is None", ["x = (a is not None)"]),
        ("x = a in b", ["x = (a not in b)"]),
        ("x = a and b", ["x = (a or b)", "x = (a)", "x = (b)"]),
        ("x = a + b", ["x = (a - b)"]),
        ("x += b", ["x -= b"]),
        ("x = not a", ["x = (a)"]),
        ("x = -a", ["x = (a)"]),
        ("x = 5", ["x = (4)", "x = 6"]),
        ("x = True", ["x = False"]),
        ("if a:\n    b = c", ["if (not a):"]),
        ("x = [a for a in b if a]", ["x = [a for a in b if True]"]),
        ("def f():\n    return a", ["return None"]),
        ("def f():\n    return 'a'", ['return ""']),
        ("f(a, b)", ["pass", "f(b, a)"]),
        ("await f()", ["pass"]),
        ("raise f", ["pass"]),
        ("for a in b:\n    break", ["continue"]),
        ("for a in b:\n    continue", ["break"]),
    ],
)
def test_a_line_is_changed_in_all_ways(program: ModuleType, source: str, changed: list[str]) -> None:
    assert changed_lines(program, source) == changed


@pytest.mark.parametrize(
    "source",
    [
        '"""Text."""',
        "log.info('%s of %s', a, b)",
        "log_line(log, 'x', a=1)",
        "x = f'{a + 1}'",
        "x: Literal[1] | None",
        "def f(a: Literal[1] = b) -> int | None: ...",
        "X: TypeAlias = 'int | None'",
        "@f(1, 2)\nclass A: ...",
        "if TYPE_CHECKING:\n    f(a, b)",
        "def f():\n    raise NotImplementedError",
        "from a import b",
        "x = 'text'",
        "def f():\n    return None",
        "x = min(a, b)",
    ],
)
def test_nothing_is_changed_that_no_test_should_hold(program: ModuleType, source: str) -> None:
    assert changed_lines(program, source) == []


def test_an_exception_loses_its_raise_but_keeps_its_message(program: ModuleType) -> None:
    assert changed_lines(program, "raise Error('%d' % 5, 'x' + y)") == ["pass"]


def test_a_change_is_placed_by_bytes(program: ModuleType) -> None:
    assert changed_lines(program, "x = {'é': a < b}") == ["x = {'é': (a <= b)}", "x = {'é': (a >= b)}"]


def test_a_change_knows_its_function_by_the_first_line_that_python_counts(program: ModuleType) -> None:
    source = "x = 1\n@decorator\ndef f(a=2):\n    return 3\n"
    assert {(one.line, one.function) for one in program.find_changes("a.py", source)} == {(1, 0), (3, 2), (4, 2)}


def test_a_seed_always_chooses_the_same(program: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "a.py").write_text("\n".join(f"x{number} = {number}" for number in range(50)))
    first, possible = program.sample(tmp_path, "core", 7, 10)
    assert (len(first), possible) == (10, 100)
    assert program.sample(tmp_path, "core", 7, 10)[0] == first
    assert program.sample(tmp_path, "core", 8, 10)[0] != first


def mutant(program: ModuleType, path: str = "airflow_provider_toggl/core/a/b.py", function: int = 3) -> Any:
    return program.Mutant(path, 4, "comparison", function, "text", "-a\n+b")


def test_a_change_of_several_lines_leaves_the_numbers_of_those_below(program: ModuleType) -> None:
    source = "f(\n    a,\n    b,\n)\nx = 1\n"
    mutants = [change.apply(source) for change in program.find_changes("a.py", source)]
    assert [one.text.splitlines()[4] for one in mutants[:2]] == ["x = 1", "x = 1"]


def test_tests_that_reach_the_function_are_chosen_with_those_of_the_mirrored_file_first(program: ModuleType) -> None:
    place = "airflow_provider_toggl/core/a/b.py:3"
    reaches = {
        "tests/core/test_d.py::quick": program.Reach([place], cost=1),
        "tests/core/test_d.py::long": program.Reach([place], cost=9),
        "tests/core/a/test_c.py::same_folder": program.Reach([place], cost=2),
        "tests/core/a/test_c.py::misses": program.Reach([], cost=1),
        "tests/core/a/test_c.py::fails": program.Reach([place], cost=1, passed=False),
        "tests/core/a/test_b.py::mirrored": program.Reach([place], cost=3),
    }
    chosen = ["tests/core/a/test_b.py::mirrored", "tests/core/a/test_c.py::same_folder", "tests/core/test_d.py::quick"]
    assert program.choose_tests(mutant(program), reaches, 14) == chosen
    assert program.choose_tests(mutant(program), reaches, 15) == [*chosen, "tests/core/test_d.py::long"]
    assert program.choose_tests(mutant(program), reaches, 14, files=2) == chosen[:2]


def test_a_change_outside_of_functions_concerns_the_tests_of_the_module_and_of_those_that_use_it(
    program: ModuleType, tmp_path: Path
) -> None:
    for name, text in (("a/b.py", "X = 1"), ("c.py", "from airflow_provider_toggl.core.a.b import X"), ("d.py", "")):
        path = tmp_path / "airflow_provider_toggl" / "core" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    outside = mutant(program, function=0)
    users = program.users_of(outside.path, tmp_path)
    assert users == ["airflow_provider_toggl/core/c.py"]
    reaches = {
        "tests/core/a/test_b.py::mirrored": program.Reach([]),
        "tests/core/test_c.py::uses": program.Reach(["airflow_provider_toggl/core/c.py:5"]),
        "tests/core/test_d.py::other": program.Reach(["airflow_provider_toggl/core/d.py:5"]),
    }
    assert program.choose_tests(outside, reaches, 10, users) == list(reaches)[:2]


def test_the_report_counts_by_folder_and_names_survivors(program: ModuleType, tmp_path: Path) -> None:
    outer = mutant(program, "airflow_provider_toggl/core/x.py")
    report = program.report([(mutant(program), "tests/a.py::test"), (mutant(program), None), (outer, "time")])
    assert (report["mutants"], report["killed"], report["share"]) == (3, 2, 66.7)
    assert report["by"] == {"survived": 1, "test": 1, "time": 1}
    assert report["folders"]["core/a"] == {"mutants": 2, "killed": 1, "share": 50.0}
    assert report["folders"]["core"]["killed"] == 1
    assert report["survivors"] == [
        {"place": "airflow_provider_toggl/core/a/b.py:4", "kind": "comparison", "diff": ["-a", "+b"]}
    ]
    (tmp_path / "report.json").write_text(json.dumps(report))
    assert program.survivors_of(tmp_path / "report.json", [outer, mutant(program)]) == [mutant(program)]


def test_a_process_gives_its_result_or_ends_at_its_limit(program: ModuleType, tmp_path: Path) -> None:
    tasks = [lambda: [1, "a"], lambda: time.sleep(60)]
    assert dict(program.run_forked(tasks, [60, 0.1], 2, tmp_path)) == {0: [1, "a"], 1: None}
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_cannot_run_tests_says_nothing_about_a_mutant(program: ModuleType, tmp_path: Path) -> None:
    def fail() -> None:
        raise ValueError("no tests")

    with pytest.raises(RuntimeError, match="no tests"):
        list(program.run_forked([fail], [60], 1, tmp_path))


CODE = """\
LIMIT = 10


def add(a, b):
    return a + b


def twice(a):
    return [a * 2 for _ in range(3)]


def unused(a):
    return a - 1


def capped(a):
    return min(a, LIMIT)


def adder(b):
    def add_it(a):
        return b + a

    return add_it


add_five = adder(5)
"""
TESTS = """\
import pytest
from airflow_provider_toggl.core import sums


def test_add():
    assert sums.add(1, 2) == 3


def test_twice_without_checking():
    sums.twice(1)


def test_capped():
    assert sums.capped(20) == 10


def test_add_five():
    assert sums.add_five(2) == 7


@pytest.mark.parametrize("engine", ["mysql"])
def test_server(engine):
    raise ValueError


def test_fails():
    raise ValueError
"""


def test_a_small_repository_is_measured(tmp_path: Path) -> None:
    files = {
        "airflow_provider_toggl/__init__.py": "",
        "airflow_provider_toggl/core/__init__.py": "",
        "airflow_provider_toggl/core/sums.py": CODE,
        "tests/core/test_sums.py": TESTS,
        "pytest.ini": "[pytest]\naddopts = --import-mode=importlib\nmarkers = unit: one\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    command = [sys.executable, ROOT / "scripts" / "mutants.py", "--root", tmp_path, "--mutants", "100"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    survivors = {(one["diff"][-1].strip("+ "), one["place"].rpartition(":")[2]) for one in report["survivors"]}
    assert ("return (a - b)", "5") not in survivors
    assert ("LIMIT = 11", "1") not in survivors
    assert {line for line in survivors if line[1] == "22"} == set()
    assert {("return None", "9"), ("return [a * 3 for _ in range(3)]", "9"), ("return None", "13")} <= survivors
    assert report["unusable tests"] == ["tests/core/test_sums.py::test_fails"]
    assert report["unchanged"]["killed"] == []
    assert report["mutants"] == report["possible"]
    assert report["folders"]["core"]["mutants"] == report["mutants"]
