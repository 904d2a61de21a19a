from __future__ import annotations

import re
from pathlib import Path

import pytest

import airflow_provider_toggl.core.events as package
from airflow_provider_toggl.core.events.engine import load_event_migrations, load_event_statements

FOLDER = Path(package.__file__).parent
ENGINES = ("sqlite", "postgres")


@pytest.mark.parametrize("engine", ENGINES)
def test_every_statement_is_used(engine: str) -> None:
    code = "".join(path.read_text() for path in [*FOLDER.glob("*.py"), *(FOLDER / engine).glob("*.py")])
    statements = load_event_statements(engine)
    sql = "".join(statements.values())
    unused = {
        name
        for name in statements
        if not name.startswith("migrate_")
        and f'"{name}"' not in code
        and f"{{{name.removeprefix('part_')}}}" not in sql
    }
    assert unused == set()


def test_both_engines_have_the_same_statements() -> None:
    own = {
        "sqlite": {"insert_events", "find_seqs"},
        "postgres": {"append_events", "listen", "inspect_server"},
    }
    shared = [
        {name for name in load_event_statements(engine) if not name.startswith("migrate_")} - own[engine]
        for engine in ENGINES
    ]
    assert shared[0] == shared[1]


@pytest.mark.parametrize("engine", ENGINES)
def test_migrations_are_numbered_without_a_gap(engine: str) -> None:
    numbers = {int(name.split("_")[1]) for name in load_event_statements(engine) if name.startswith("migrate_")}
    assert numbers == set(range(1, len(load_event_migrations(engine)) + 1))


def test_both_engines_have_the_same_tables_and_columns() -> None:
    found = []
    for engine in ENGINES:
        text = "\n".join(statement for step in load_event_migrations(engine) for statement in step)
        tables = re.findall(r"create table (?:\{schema\}\.)?(\w+) \((.*?)\n\)", text, re.DOTALL)
        found.append({name: re.findall(r'^    "?(\w+)', columns, re.MULTILINE) for name, columns in tables})
    del found[1]["counter"]  # SQLite counts by itself
    assert found[0] == found[1]
    assert len(found[0]) == 9
