from __future__ import annotations

import ast
import re
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from architecture.test_hygiene import text_files
from support.repository import ROOT, package_modules

# Words of an earlier private vocabulary; docs/glossary.md has the terms that took their place.
OLD_WORDS = """
    desk notebook logbook court hearing testimony witness belief believed disbelieved blindness crowd knock knocking
    departures oddity oddities relanding reland mischief errand told tell tells telling heard landed landing lands
    strays whoever surroundings mended mends mending tidings
"""
OLD_PHRASES = ("passed over", "who asks", "looked after", "what is told", "made anew", "handed over")
# Text that is kept as it was: statements of released migrations and what older versions left behind.
KEPT = re.compile(r"made_before/|/migrations?[^/]*\.sql$")
OWN = "tests/architecture/test_names.py"


def searched_files() -> list[Path]:
    folders = ("airflow_provider_toggl", "tests", "dags", "benchmarks", "docs", "scripts")
    endings = {".py", ".sql", ".md", ".html", ".js", ".css", ".toml", ".yml"}
    found = []
    for path in text_files():
        inner = path.relative_to(ROOT).as_posix()
        wanted = inner.startswith(tuple(f"{folder}/" for folder in folders)) or "/" not in inner
        if wanted and path.suffix in endings and inner != OWN and not KEPT.search(inner):
            found.append(path)
    return found


def test_no_file_uses_a_word_of_the_old_vocabulary() -> None:
    words = "|".join(OLD_WORDS.split())
    phrases = "|".join(phrase.replace(" ", r"\s+") for phrase in OLD_PHRASES)
    # An underscore ends a word, so parts of names count too: `note_landing`.
    pattern = re.compile(rf"(?<![A-Za-z])(?:{words}|{phrases})(?![a-z])", re.IGNORECASE)
    found = {}
    for path in searched_files():
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if path.name == "CHANGELOG.md" and " -> " in line and line.startswith("| "):
                continue  # the table of renames has the old names
            if hits := pattern.findall(line):
                found[f"{path.relative_to(ROOT)}:{number}"] = hits
    assert found == {}


def test_no_two_public_classes_have_the_same_name() -> None:
    places = defaultdict(list)
    for module in package_modules():
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(module.name)
    assert {name: modules for name, modules in places.items() if len(modules) > 1} == {}


def test_no_module_imports_itself_through_others() -> None:
    modules = {module.name for module in package_modules()}
    graph = {}
    for module in package_modules():
        names = module.imports()
        used = {name if name in modules else name.rpartition(".")[0] for name in names}
        graph[module.name] = (used & modules) - {module.name}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))
