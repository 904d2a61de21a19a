from __future__ import annotations

import pytest

from airflow_provider_toggl.core.databases.statements import combine, load_statements, to_pyformat


@pytest.mark.parametrize("file", ["sqlite", "postgres"])
def test_statements_have_names_and_no_semicolon(file: str) -> None:
    statements = load_statements("airflow_provider_toggl.core.databases", file)
    assert {"find_version", "insert_version"} <= set(statements)
    assert not [text for text in statements.values() if text.endswith(";")]


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
