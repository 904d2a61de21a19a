from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from airflow_provider_toggl.core import load
from airflow_provider_toggl.core.databases.statements import combine, load_statements, to_format, to_pyformat

FOLDER = Path(str(files(load)))


def test_statements_come_in_the_order_of_their_file_without_comment_and_semicolon() -> None:
    statements = load_statements("airflow_provider_toggl.core.client.limits", "sql/sqlite.sql")
    assert list(statements)[:2] == ["create_token_state", "create_hourly_usage"]
    assert statements["find_state"] == "select state from token_state where token = :token"


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.sql")), ids=lambda path: path.name)
def test_every_statement_of_the_warehouse_has_a_name_a_sentence_and_a_use(path: Path) -> None:
    text, code = path.read_text("utf-8"), "".join(path.read_text() for path in FOLDER.rglob("*.py"))
    statements = load_statements(load.__name__, str(path.relative_to(FOLDER)))
    assert len(statements) == len(re.findall(r"^-- name: \w+: .{10,}$", text, re.MULTILINE)) == text.count(";\n")
    used = set(re.findall(r"""["'](\w+)["']""", code))
    assert [name for name in statements if not name.startswith("create_") and name not in used] == []


def test_names_and_parts_are_filled_in() -> None:
    common = {"read": "select {column} from {schema}.events {hint}"}
    engine = {"part_column": "max({schema}.seq)", "part_hint": "", "migrate_1_events": "create table events"}
    assert combine(common, engine, schema="main") == {"read": "select max(main.seq) from main.events "}


def test_a_part_that_no_engine_has_is_an_error() -> None:
    with pytest.raises(KeyError, match="hint"):
        combine({"read": "select {hint}"})


@pytest.mark.parametrize(
    ("statement", "translated"),
    [
        ("a = :name and b > :other_2", "a = %(name)s and b > %(other_2)s"),
        ("(:after,:after)", "(%(after)s,%(after)s)"),
        (":number::bigint = a::text", "%(number)s::bigint = a::text"),
        ("drawn := drawn + 1; a:: text", "drawn := drawn + 1; a:: text"),
        ("%(bodies)b::bytea", "%(bodies)b::bytea"),
    ],
)
def test_parameters_are_written_for_psycopg_and_casts_are_left(statement: str, translated: str) -> None:
    assert to_pyformat(statement) == translated


@pytest.mark.parametrize(
    ("sql", "doubled"),
    [
        ("select ?, ?", "select %s, %s"),
        ("select '?', 'it''s ?', ?", "select '?', 'it''s ?', %s"),
        ('select "a?""b?" where x = ?', 'select "a?""b?" where x = %s'),
        ("select 5 % ? -- why?\n, ?", "select 5 %% %s -- why?\n, %s"),
        ("select /* ? \n ? */ ?", "select /* ? \n ? */ %s"),
        ("like '%s' and ?", "like '%%s' and %s"),
    ],
)
def test_a_question_mark_is_a_parameter_where_sql_has_one(sql: str, doubled: str) -> None:
    assert to_format(sql) == doubled
    assert to_format(sql, False) == doubled.replace("%%", "%")
