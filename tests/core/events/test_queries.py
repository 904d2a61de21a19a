from __future__ import annotations

import re
from pathlib import Path

import pytest

import airflow_provider_toggl.core.events as package
from airflow_provider_toggl.core.events.queries import load_migrations, load_queries

FOLDER = Path(package.__file__).parent
ENGINES = ("sqlite", "postgres")


@pytest.mark.parametrize("engine", ENGINES)
def test_every_statement_is_used_by_its_engine(engine: str) -> None:
    code = "".join(path.read_text() for path in FOLDER.glob(f"{engine}_*.py"))
    names = {name for name in load_queries(engine) if not name.startswith("migrate_")}
    assert {name for name in names if f'"{name}"' not in code} == set()


@pytest.mark.parametrize("engine", ENGINES)
def test_migrations_are_numbered_without_a_gap(engine: str) -> None:
    numbers = {int(name.split("_")[1]) for name in load_queries(engine) if name.startswith("migrate_")}
    assert numbers == set(range(1, len(load_migrations(engine)) + 1))


def test_both_engines_have_the_same_tables_and_columns() -> None:
    found = []
    for engine in ENGINES:
        text = "\n".join(statement for step in load_migrations(engine) for statement in step)
        tables = re.findall(r"create table (?:\{schema\}\.)?(\w+) \((.*?)\n\)", text, re.DOTALL)
        found.append({name: re.findall(r'^    "?(\w+)', columns, re.MULTILINE) for name, columns in tables})
    del found[1]["counter"]  # SQLite counts by itself
    assert found[0] == found[1]
    assert len(found[0]) == 8
