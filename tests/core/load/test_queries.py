from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from airflow_provider_toggl.core import load
from airflow_provider_toggl.core.load.queries import load_queries

FOLDER = Path(str(files(load)))
FILES = sorted(str(path.relative_to(FOLDER).with_suffix("")) for path in FOLDER.rglob("*.sql"))


@pytest.mark.parametrize("file", FILES)
def test_every_statement_has_a_name_a_sentence_and_a_use(file: str) -> None:
    text = (FOLDER / f"{file}.sql").read_text("utf-8")
    code = "".join(path.read_text() for path in FOLDER.rglob("*.py"))
    queries = load_queries(file)
    assert len(queries) == len(re.findall(r"^-- name: \w+: .{10,}$", text, re.MULTILINE)) == text.count(";\n")
    used = set(re.findall(r"""["'](\w+)["']""", code))
    assert [name for name in queries if not name.startswith("create_") and name not in used] == []


def test_a_statement_comes_without_its_comment_and_semicolon() -> None:
    statement = load_queries("tables/tables")["find_version"]
    assert statement == 'select max("version") from "schema_version"'
