from __future__ import annotations

import re

from airflow_provider_toggl.core.load.engines.snowflake.dialect import (
    add_columns,
    create_all_views,
    create_tables,
    upper_names,
)
from airflow_provider_toggl.core.load.engines.table_store.tables import STORED_TABLES
from airflow_provider_toggl.core.load.tables.reads import VIEWS

ALL = [*create_tables(), *create_all_views()]


def test_all_names_are_upper_case_so_that_nobody_must_quote_them() -> None:
    assert [name for sql in ALL for name in re.findall(r'"([^"]+)"', sql) if name != name.upper()] == []
    assert upper_names("""select "at" from "tags" where "name" = 'A"b"c'""").startswith('select "AT" from "TAGS"')


def test_each_table_is_created_once_with_its_key() -> None:
    created = {re.findall(r'"(\w+)"', sql)[0]: sql for sql in create_tables()}
    assert created.keys() == {name.upper() for name in STORED_TABLES}
    assert created["SYNC_STATE"].endswith('primary key ("STREAM", "SCOPE"))')
    assert '"TAG_IDS" array' in created["TIME_ENTRIES"]
    assert '"START" timestamp_tz(6)' in created["TIME_ENTRIES"]


def test_columns_that_are_missing_are_added_and_no_others() -> None:
    there = frozenset((table.name.upper(), c.name.upper()) for table in STORED_TABLES.values() for c in table.columns)
    assert add_columns(there) == []
    lacking = there - {("TAGS", "NAME")}
    assert add_columns(lacking) == ['alter table "TAGS" add column if not exists "NAME" varchar']


def test_views_keep_what_was_granted_and_name_no_window() -> None:
    views = create_all_views()
    names = [re.match(r'\s*create or replace view "(\w+)" copy grants as', view) for view in views]
    assert [found and found[1] for found in names] == [name.upper() for name in VIEWS]
    assert not any(re.search(r"\bwindow\b|by_entry|by_state", view) for view in views)
