from __future__ import annotations

import duckdb
from support.toggl_rows import entries

from airflow_provider_toggl.core.load import merge
from airflow_provider_toggl.core.load.dialects import DUCKDB
from airflow_provider_toggl.core.load.duckdb_session import DuckdbSession
from airflow_provider_toggl.core.load.schemas import TABLES


def test_rows_are_counted_put_in_and_known_by_name_only_while_they_are_staged() -> None:
    table = TABLES["time_entries"]
    with duckdb.connect() as connection:
        session = DuckdbSession(connection)
        assert session.dialect is DUCKDB
        session.run(merge.create_table(table, DUCKDB))
        session.insert(table, entries(1, 2).table)
        assert session.count_stored(table, entries(2, 3).table) == 1
        session.stage(table, entries(5).table)
        assert session.table(f"select id from {merge.INCOMING}").to_pylist() == [{"id": 5}]
        session.unstage()
        assert session.run("select count(*) from duckdb_views() where not internal") == [(0,)]
        session.run_many("delete from time_entries where id = ?", [[1], [2]])
        assert session.run(merge.count_rows(table)) == [(0,)]
