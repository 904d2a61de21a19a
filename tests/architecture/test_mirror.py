from __future__ import annotations

import ast
from pathlib import Path

from support.repository import PACKAGE, ROOT, Module, package_modules

# Modules without a test file of their own, and what tests them. The list may only shrink.
TESTED_ELSEWHERE: dict[str, str] = {
    "airflow_provider_toggl.core.errors": "tests/architecture/test_errors_tree.py",
    "airflow_provider_toggl.sandbox.workspace.records": "tests/sandbox/workspace/test_world.py",
    "airflow_provider_toggl.sandbox.workspace.seed_entries": "tests/sandbox/workspace/test_seed.py",
}


def mirrored(module: Module) -> tuple[Path, Path]:
    """Return where the tests of a module may be: those of ``a/b/c.py`` in ``tests/a/b/test_c.py``, or with those of
    the whole folder in ``tests/a/test_b.py``.
    """
    inner = Path("tests") / module.path.relative_to(PACKAGE)
    return inner.parent / f"test_{inner.stem.strip('_')}.py", inner.parent.parent / f"test_{inner.parent.name}.py"


def has_something_to_test(module: Module) -> bool:
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) for node in module.tree.body)


def test_every_module_has_its_tests_at_the_mirrored_path() -> None:
    wanted = {module.name: mirrored(module) for module in package_modules() if has_something_to_test(module)}
    missing = {name for name, paths in wanted.items() if not any((ROOT / path).exists() for path in paths)}
    assert missing == set(TESTED_ELSEWHERE)


def test_what_is_tested_elsewhere_names_a_test_that_is_there() -> None:
    assert [path for path in TESTED_ELSEWHERE.values() if not (ROOT / path).exists()] == []


def test_every_test_file_in_a_mirrored_folder_has_its_module() -> None:
    folders = {path.name for path in (ROOT / PACKAGE).iterdir() if path.is_dir()}
    there = {path.relative_to(ROOT) for folder in folders for path in (ROOT / "tests" / folder).rglob("test_*.py")}
    modules = {path for module in package_modules() for path in mirrored(module)}
    assert {path for path in there if path not in modules and "contracts" not in path.parts} == set()
