from __future__ import annotations

import duckdb

from airflow_provider_toggl.core.load.engines.duckdb.engine import DUCKDB
from airflow_provider_toggl.core.load.engines.table_store.tables import STORED_TABLES
from airflow_provider_toggl.core.load.tables.migrations import create_all


def test_the_tables_of_a_store_have_the_columns_of_the_other_engines() -> None:
    with duckdb.connect(":memory:") as connection:
        for statement in create_all(DUCKDB):
            connection.execute(statement)
        for name, table in STORED_TABLES.items():
            assert connection.sql(f'select * from "{name}"').columns == [column.name for column in table.columns]
        ours = "select table_name from duckdb_tables() order by 1"
        assert connection.sql(ours).fetchall() == [(name,) for name in sorted(STORED_TABLES)]
