from __future__ import annotations

import pyarrow as pa

from airflow_provider_toggl.core.load.engines.bigquery import statements
from airflow_provider_toggl.core.load.engines.table_store.contract import TableChange
from airflow_provider_toggl.core.load.engines.table_store.tables import ROW_TABLES, STATE_TABLES, STORED_TABLES
from airflow_provider_toggl.core.load.tables.reads import VIEWS

DATASET = "my-project.toggl"
TAGS, COUNTER, STATE = ROW_TABLES["tags"], STATE_TABLES["change_counter"], STATE_TABLES["sync_state"]


def ids(*values: int) -> pa.Array:
    return pa.array(values, pa.int64())


def script(*changes: TableChange) -> list[str]:
    return statements.commit(DATASET, 4, changes, "staging_1").split(";\n")


def one(change: TableChange) -> list[str]:
    """Return the statements of a change alone."""
    return script(change)[3:-2]


def test_a_commit_is_one_transaction_that_compares_and_raises_the_revision_first() -> None:
    begin, check, count, *_, commit, drop = script(TableChange(TAGS, pa.table({"id": [1]}), ids(), ids()))
    assert begin == "begin transaction"
    assert check.startswith("select case when coalesce(max(`revision`), -1) = 4 then 'current' else error(")
    assert check.endswith("from `my-project.toggl.load_revision`")
    assert count.endswith("set `revision` = 5 where true")
    assert (commit, drop) == ("commit transaction", "drop table if exists `my-project.toggl.staging_1`;")


def test_new_rows_are_inserted_and_changed_ones_merged_within_the_range_of_their_ids() -> None:
    rows = pa.table({"id": [5, 2]})
    (insert,) = one(TableChange(TAGS, rows, ids(), ids()))
    assert insert.startswith("insert into `my-project.toggl.tags` (`id`, ")
    (merge,) = one(TableChange(TAGS, rows, ids(2), ids()))
    assert merge.startswith("merge into `my-project.toggl.tags` as t using (select ")
    assert "on t.`id` = s.`id` and t.`id` between 2 and 5 when matched then update set `workspace_id` = " in merge
    assert "`id` = s.`id`," not in merge


def test_deleted_keys_and_rows_have_parts_of_their_own() -> None:
    insert = TableChange(TAGS, pa.table({"id": [1]}), ids(), ids())
    delete, merge = one(TableChange(TAGS, pa.table({"id": [1]}), ids(), ids(9)))
    assert delete.startswith(
        "delete from `my-project.toggl.tags` where `id` in (select cast(json_value(content, '$[0]')"
    )
    assert delete.endswith("where part = 1)")
    assert "where part = 0" in merge
    assert "where part = 2" in script(insert, insert)[4]


def test_a_table_without_a_key_is_replaced_and_one_with_several_is_merged_by_all_of_them() -> None:
    delete, insert = one(TableChange(COUNTER, pa.table({"seq": [1]}), ids(), ids()))
    assert delete == "delete from `my-project.toggl.change_counter` where true"
    assert insert.startswith("insert into `my-project.toggl.change_counter` (`seq`)")
    (merge,) = one(TableChange(STATE, pa.table({"stream": ["s"]}), ids(), ids()))
    assert "on t.`stream` = s.`stream` and t.`scope` = s.`scope` when matched" in merge


def test_what_is_missing_is_created_and_the_revision_comes_last() -> None:
    made = statements.create_missing(DATASET, {}).split(";\n")
    assert len(made) == len(STORED_TABLES) + len(VIEWS) + 1
    (entries,) = (sql for sql in made if "`my-project.toggl.time_entries` (" in sql)
    assert entries.endswith("partition by timestamp_trunc(`start`, month) cluster by `id`")
    assert made[-1] == "create table if not exists `my-project.toggl.load_revision` as select 0 as `revision`;"


def test_only_the_columns_that_a_table_lacks_are_added() -> None:
    stored = {name: [column.name for column in table.columns] for name, table in STORED_TABLES.items()}
    assert "create table if not exists `my-project.toggl.tags`" not in statements.create_missing(DATASET, stored)
    assert "alter table" not in statements.create_missing(DATASET, stored)
    stored["tags"].remove("name")
    added = [sql for sql in statements.create_missing(DATASET, stored).split(";\n") if sql.startswith("alter")]
    assert added == ["alter table `my-project.toggl.tags` add column if not exists `name` string"]


def test_the_state_is_one_query_of_all_small_tables() -> None:
    sql = statements.read_state(DATASET)
    assert sql.count("union all") == len(STATE_TABLES)
    assert all(f"`my-project.toggl.{name}`" in sql for name in (*STATE_TABLES, statements.REVISION))
