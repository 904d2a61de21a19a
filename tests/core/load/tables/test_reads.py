from __future__ import annotations

import pytest

from airflow_provider_toggl.core.load.engines.duckdb.engine import DUCKDB
from airflow_provider_toggl.core.load.engines.table_store.views import build_views
from airflow_provider_toggl.core.load.tables.reads import VIEWS, find_tables_read

FACTS = ["clients", "projects", "tags", "tasks", "time_entries", "users"]


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("select count(*) from time_entries", ["time_entries"]),
        ('SELECT * FROM "Toggl"."Tags"', ["tags"]),
        ("select 1 from warehouse.toggl.users u join projects as p on true", ["projects", "users"]),
        ("select 1 from users u, clients, tags as t where true", ["clients", "tags", "users"]),
        ("select * from time_entry_facts", FACTS),
        ("select * from live_time_entries where id in (select id\nfrom\ttasks)", ["tasks", "time_entries"]),
        ("select * from time_entry_changes", ["time_entries", "time_entry_versions"]),
        ("insert into mine select * from groups", ["groups"]),
    ],
)
def test_tables_are_found_by_themselves_and_through_views(sql: str, tables: list[str]) -> None:
    assert find_tables_read(sql, "toggl") == tables


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "select count(*) as projects, 'from users' from mine",
        "select 1 -- from users\n/* join tags */",
        "select * from other.users",
        "select tags from mine order by tags, users",
    ],
)
def test_other_words_and_tables_of_other_schemas_are_none(sql: str) -> None:
    assert find_tables_read(sql, "toggl") == []


def test_each_view_reads_the_tables_that_are_listed() -> None:
    found = {name: find_tables_read(sql, "toggl") for name, sql in build_views(DUCKDB).items()}
    assert found == {name: list(tables) for name, tables in VIEWS.items()}
