from __future__ import annotations

import ast
from collections.abc import Iterator

from support.package_sources import package_modules

MOST_LINES_OF_A_MODULE = 400
MOST_LINES_OF_A_FUNCTION = 60

# What is larger, with its size in lines. These may only shrink: no new ones, and out with what has become small enough.
LARGER_MODULES: dict[str, int] = {}
LARGER_FUNCTIONS: dict[str, int] = {}


def functions() -> Iterator[tuple[str, int]]:
    for module in package_modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                yield f"{module.name}.{node.name}", node.end_lineno - node.lineno + 1


def test_no_module_is_longer_than_400_lines() -> None:
    sizes = {module.name: len(module.text.splitlines()) for module in package_modules()}
    too_long = {name: size for name, size in sizes.items() if size > MOST_LINES_OF_A_MODULE}
    assert too_long == LARGER_MODULES


def test_no_function_is_longer_than_60_lines() -> None:
    too_long = {name: size for name, size in functions() if size > MOST_LINES_OF_A_FUNCTION}
    assert too_long == LARGER_FUNCTIONS
