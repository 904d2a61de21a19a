from __future__ import annotations

import ast
from pathlib import Path

from support.package_sources import PACKAGE, ROOT, Module, package_modules

# Modules without a test file of their own, and what tests them. The list may only shrink.
TESTED_ELSEWHERE: dict[str, str] = {}


def mirrored(module: Module) -> Path:
    """Return where the tests of a module are: ``a/b.py`` has ``tests/a/test_b.py``."""
    inner = module.path.relative_to(PACKAGE)
    return Path("tests") / inner.parent / f"test_{inner.stem.strip('_')}.py"


def has_something_to_test(module: Module) -> bool:
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) for node in module.tree.body)


def test_every_module_has_its_tests_at_the_mirrored_path() -> None:
    wanted = {module.name: mirrored(module) for module in package_modules() if has_something_to_test(module)}
    missing = {name for name, path in wanted.items() if not (ROOT / path).exists()}
    assert missing == set(TESTED_ELSEWHERE)


def test_what_is_tested_elsewhere_names_a_test_that_is_there() -> None:
    assert [path for path in TESTED_ELSEWHERE.values() if not (ROOT / path).exists()] == []


def test_every_test_file_in_a_mirrored_folder_has_its_module() -> None:
    folders = {path.name for path in (ROOT / PACKAGE).iterdir() if path.is_dir()}
    there = {path.relative_to(ROOT) for folder in folders for path in (ROOT / "tests" / folder).rglob("test_*.py")}
    modules = {mirrored(module) for module in package_modules()}
    assert {path for path in there if path not in modules and "contracts" not in path.parts} == set()
