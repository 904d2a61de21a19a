from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from airflow_provider_toggl.core import load
from airflow_provider_toggl.core.load.queries import load_queries

FILES = ["tables", "landing", "duckdb", "postgres", "sqlite", "mysql", "ansi"]


def test_every_file_of_statements_is_known_here() -> None:
    assert sorted(f"{name}.sql" for name in FILES) == sorted(file.name for file in (files(load) / "sql").iterdir())


@pytest.mark.parametrize("file", FILES)
def test_every_statement_has_a_name_a_sentence_and_a_use(file: str) -> None:
    text = (files(load) / "sql" / f"{file}.sql").read_text("utf-8")
    code = "".join(path.read_text() for path in Path(str(files(load))).glob("*.py"))
    queries = load_queries(file)
    assert len(queries) == len(re.findall(r"^-- name: \w+: .{10,}$", text, re.MULTILINE)) == text.count(";\n")
    assert [name for name in queries if not name.startswith("create_") and f'"{name}"' not in code] == []


def test_a_statement_comes_without_its_comment_and_semicolon() -> None:
    statement = load_queries("tables")["find_version"]
    assert statement == 'select max("version") from "schema_version"'
