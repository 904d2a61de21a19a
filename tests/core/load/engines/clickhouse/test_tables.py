"""Which statements create the tables, and only what is missing."""

from __future__ import annotations

from airflow_provider_toggl.core.load.engines.clickhouse.tables import (
    COMMITS,
    COMPACTIONS,
    arrow_schema,
    change_columns,
    create_tables,
    stored,
)
from airflow_provider_toggl.core.load.engines.table_store.tables import STORED_TABLES


def columns_of(statement: str) -> frozenset[str]:
    return frozenset(line.split('"')[1] for line in statement.splitlines()[1:-1])


def test_each_table_has_its_rows_and_an_array_in_the_commits_for_each_column() -> None:
    statements = list(create_tables({}))
    names = [statement.split('"')[1] for statement in statements]
    assert names == [COMMITS, COMPACTIONS, *map(stored, STORED_TABLES.values())]
    commits = columns_of(statements[0])
    for table in STORED_TABLES.values():
        assert change_columns(table).keys() <= commits
        assert all(type_.startswith("Array(") for type_ in change_columns(table).values())
        wanted = {*arrow_schema(table).names, "revision", "is_deleted"}
        assert columns_of(statements[names.index(stored(table))]) == wanted


def test_where_all_is_there_nothing_is_created() -> None:
    existing = {statement.split('"')[1]: columns_of(statement) for statement in create_tables({})}
    assert list(create_tables(existing)) == []
    lacking = {**existing, "stored_tags": existing["stored_tags"] - {"name"}}
    assert list(create_tables(lacking)) == [
        'alter table "stored_tags" add column if not exists "name" Nullable(String)'
    ]
    del lacking["stored_tags"]
    (created,) = create_tables(lacking)
    assert created.startswith('create table if not exists "stored_tags"')


def test_keys_and_lists_are_never_null() -> None:
    columns = change_columns(STORED_TABLES["groups"])
    assert columns["groups.id"] == "Array(Int64)"
    assert columns["groups.user_ids"] == "Array(Array(Int64))"
    assert columns["groups.workspace_id"] == "Array(Nullable(Int64))"
