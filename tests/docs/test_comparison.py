"""What the comparison calls shown is there to be run."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from support.repository import ROOT

PAGE = (ROOT / "docs" / "comparison.md").read_text()
ROWS = re.findall(r"^\| (\d+) \| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)


@cache
def functions_of(path: Path) -> frozenset[str]:
    return frozenset(
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    )


def is_there(evidence: str) -> bool:
    if evidence.startswith("make "):
        return bool(re.search(rf"^{evidence.removeprefix('make ')}:", (ROOT / "Makefile").read_text(), re.MULTILINE))
    path, _, name = evidence.partition("::")
    file = ROOT / path
    return file.is_file() and (not name or name in functions_of(file))


def test_every_capability_is_answered_once_and_in_order() -> None:
    assert [int(row[0]) for row in ROWS] == list(range(1, 40))


def test_every_answer_names_tests_or_commands_that_exist() -> None:
    evidence = {row[0]: re.findall(r"`([^`]+)`", row[3]) for row in ROWS}
    assert [number for number, named in evidence.items() if not named] == []
    assert [one for named in evidence.values() for one in named if not is_there(one)] == []
