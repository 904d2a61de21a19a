"""Tests of the program that changes the code to see whether tests notice."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from support.repository import ROOT, load_program


@pytest.fixture(scope="module")
def program() -> ModuleType:
    return load_program(ROOT / "scripts" / "mutants.py")


def changed_lines(program: ModuleType, source: str) -> list[str]:
    return [mutant.diff(source)[1].removeprefix("+ ") for mutant in program.find_mutants("a.py", source)]


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
        ("if TYPE_CHECKING:\n    a = 1\nelse:\n    a = not b", ["a = (b)"]),
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
    assert {(one.line, one.function) for one in program.find_mutants("a.py", source)} == {(1, 0), (3, 2), (4, 2)}


@pytest.mark.parametrize(
    ("source", "excluded"),
    [
        ("_WRITE_TIMEOUT = 30.0", True),
        ("MAX_BATCH = 500", True),
        ("a = list(zip(b, c, strict=True))", True),
        ("TIMEOUTS_BEFORE_FAILURE = 2", False),
        ("MAX_ATTEMPTS = 5", False),
        ("if BATCH == 5: pass", False),
        ("a = list(zip(b, c, strict=False))", False),
        ("a = list(zip(b, [1], strict=False))", False),
    ],
)
def test_waiting_times_sizes_of_batches_and_guards_are_excluded(
    program: ModuleType, tmp_path: Path, source: str, excluded: bool
) -> None:
    (tmp_path / "a.py").write_text(source)
    constants = [one for one in program.find_mutants("a.py", source) if one.kind == "constant"]
    assert {program.exclusion(one, tmp_path) is not None for one in constants} == {excluded}


def test_a_seed_always_chooses_the_same(program: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / program.CODE / "a.py"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(f"x{number} = {number}" for number in range(50)))
    first, possible = program.sample(tmp_path, 7, 10)
    assert (len(first), possible) == (10, 100)
    assert program.sample(tmp_path, 7, 10)[0] == first
    assert program.sample(tmp_path, 8, 10)[0] != first


def test_a_change_of_several_lines_leaves_the_numbers_of_those_below(program: ModuleType) -> None:
    source = "f(\n    a,\n    b,\n)\nx = 1\n"
    changed = [one.apply(source) for one in program.find_mutants("a.py", source)]
    assert [text.splitlines()[4] for text in changed[:2]] == ["x = 1", "x = 1"]


def mutant(program: ModuleType, path: str = "airflow_provider_toggl/core/a/b.py", function: int = 3) -> Any:
    return program.Mutant(path, 1, "comparison", function, 0, 1, "b")


def test_tests_that_reach_the_function_are_chosen_by_how_near_and_how_quick_they_are(program: ModuleType) -> None:
    place = "airflow_provider_toggl/core/a/b.py:3"
    reaches = {
        "tests/core/test_d.py::quick": program.Reach([place], 1, True),
        "tests/core/test_d.py::long": program.Reach([place], 9, True),
        "tests/core/a/test_c.py::same_folder": program.Reach([place], 2, True),
        "tests/core/a/test_c.py::misses": program.Reach([], 1, True),
        "tests/core/a/test_c.py::fails": program.Reach([place], 1, False),
        "tests/core/a/test_b.py::mirrored": program.Reach([place], 3, True),
    }
    order = ["tests/core/a/test_b.py::mirrored", "tests/core/a/test_c.py::same_folder", "tests/core/test_d.py::quick"]
    order.append("tests/core/test_d.py::long")
    assert program.choose_tests(mutant(program), reaches, []) == order
    assert [len(program.affordable(order, reaches, budget)) for budget in (1, 14, 15)] == [1, 3, 4]


def test_a_change_outside_of_functions_concerns_the_tests_of_the_module_and_of_those_that_use_it(
    program: ModuleType, tmp_path: Path
) -> None:
    for name, text in (("a/b.py", "X = 1"), ("c.py", "from airflow_provider_toggl.core.a.b import X"), ("d.py", "")):
        path = tmp_path / program.CODE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    outside = mutant(program, function=0)
    users = program.users_of(outside.path, tmp_path)
    assert users == ["airflow_provider_toggl/core/c.py"]
    reaches = {
        "tests/core/a/test_b.py::mirrored": program.Reach([], 0, True),
        "tests/core/test_c.py::uses": program.Reach(["airflow_provider_toggl/core/c.py:5"], 0, True),
        "tests/core/test_d.py::other": program.Reach(["airflow_provider_toggl/core/d.py:5"], 0, True),
    }
    assert program.choose_tests(outside, reaches, users) == list(reaches)[:2]


def test_the_report_counts_by_folder_and_leaves_excluded_mutants_out_of_the_share(
    program: ModuleType, tmp_path: Path
) -> None:
    paths = [f"{program.CODE}/{name}" for name in ("x.py", "a/b.py", "a/c.py", "a/d.py", "a/e.py")]
    results = ("time", "tests/a.py::test", "survived", "undecided", "excluded: waits")
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("a")
    report = program.report(tmp_path, dict(zip((mutant(program, path) for path in paths), results, strict=True)))
    assert [report[name] for name in ("killed", "survived", "undecided", "excluded")] == [2, 1, 1, 1]
    assert report["percent killed"] == 50.0
    assert report["folders"]["a"]["percent killed"] == 33.3
    assert report["folders"]["."]["killed"] == 1
    assert [one["result"] for one in report["left"]] == list(results[2:])
    assert report["left"][0]["diff"] == ["- a", "+ b"]


def test_a_process_gives_its_result_or_ends_when_it_hangs_or_uses_up_its_limit(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "IDLE", 0.5)

    def work() -> None:
        while True:
            pass

    tasks = [lambda: [1, "a"], lambda: time.sleep(60), work]
    assert dict(program.run_forked(tasks, [60, 60, 0.2], 3)) == {0: [1, "a"], 1: None, 2: None}


def test_a_process_that_cannot_run_tests_says_nothing_about_a_mutant(program: ModuleType) -> None:
    def fail() -> None:
        raise ValueError("no tests")

    with pytest.raises(RuntimeError, match="no tests"):
        list(program.run_forked([fail], [60], 1))


CODE = """\
LIMIT = 10


def add(a, b):
    return a + b


def twice(a):
    return a * 2


def unused(a):
    return a


def capped(a):
    return min(a, LIMIT)


def adder(b):
    def add_it(a):
        return b + a

    return add_it


add_five = adder(5)
"""
TESTS = """\
from airflow_provider_toggl.core import sums

CAPPED = abs(sums.capped(20))


def test_add():
    assert sums.add(1, 2) == 3


def test_twice_without_checking():
    sums.twice(1)


def test_capped():
    assert sums.capped(20) == CAPPED == 10


def test_add_five():
    assert sums.add_five(2) == 7


def test_fails():
    raise ValueError
"""


@pytest.mark.timeout(1200)  # nine seconds of the processor, which a busy machine may give slowly
def test_a_small_repository_is_measured(program: ModuleType, tmp_path: Path) -> None:
    files = {
        "airflow_provider_toggl/__init__.py": "",
        "airflow_provider_toggl/core/__init__.py": "",
        "airflow_provider_toggl/core/sums.py": CODE,
        "tests/core/test_sums.py": TESTS,
        "tests/core/test_total.py": "from airflow_provider_toggl.core import sums\ndef test():\n    sums.capped(1)\n",
        "pytest.ini": "[pytest]\naddopts = --import-mode=importlib\nmarkers = unit: one\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    command = [sys.executable, ROOT / "scripts" / "mutants.py", "--root", tmp_path, "--mutants", "100"]
    command += ["--killed", kept := tmp_path / "killed.jsonl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    left = {(one["diff"][1].removeprefix("+ "), one["place"].rpartition(":")[2]) for one in report["left"]}
    assert ("return (a - b)", "5") not in left
    assert ("LIMIT = 11", "1") not in left
    assert ("return None", "17") not in left
    assert {line for line in left if line[1] == "22"} == set()
    assert {("return None", "9"), ("return a * 3", "9"), ("return None", "13")} <= left
    assert len(program.read_killed(kept)) == report["killed"]
    assert report["unusable tests"] == ["tests/core/test_sums.py::test_fails"]
    assert report["failed without a change"] == []
    assert report["folders"]["."]["killed"] == report["killed"] == report["possible"] - len(left)
