"""What the views are made of; what they show is tested on ClickHouse's engine, see ``test_store.py``."""

from __future__ import annotations

from airflow_provider_toggl.core.load.engines.clickhouse.views import (
    LAST_VIEW,
    create_all_views,
    current_rows,
    newest_changes,
    select_changes,
)
from airflow_provider_toggl.core.load.engines.table_store.tables import STATE_TABLES, STORED_TABLES
from airflow_provider_toggl.core.load.tables.reads import VIEWS

TAGS = STORED_TABLES["tags"]


def test_there_is_a_view_for_each_table_and_the_last_one_says_that_all_are_there() -> None:
    names = [statement.split('"')[1] for statement in create_all_views()]
    assert set(names) >= {*STORED_TABLES, *VIEWS}
    assert names[-1] == LAST_VIEW


def test_a_column_of_a_join_keeps_its_name() -> None:
    facts = next(statement for statement in create_all_views() if '"time_entry_facts"' in statement)
    assert '    entry."user_id" as "user_id",\n' in facts
    assert 'project."name" as "project_name",\n' in facts


def test_a_condition_reaches_both_parts_of_a_tables_rows() -> None:
    sql = current_rows(TAGS, '"id"', '"id" in (1, 2)')
    assert 'from "stored_tags" final where "id" in (1, 2) and ("id") not in' in sql
    assert sql.count('"id" in (1, 2)') == 3


def test_of_the_changes_of_a_row_the_newest_counts() -> None:
    assert newest_changes(TAGS, "1").endswith('order by "revision" desc limit 1 by "id"')
    assert newest_changes(STATE_TABLES["change_counter"], "1").endswith('order by "revision" desc limit 1')


def test_a_commit_that_was_emptied_has_no_changes() -> None:
    assert 'where "is_empty" = 0 and "revision" > 5' in select_changes(TAGS, '"revision" > 5')
