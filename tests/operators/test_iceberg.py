"""The operators of Iceberg tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.toggl_rows import entries

from airflow_provider_toggl.core.errors import ConfigurationError, DatabaseFault, WarehouseError
from airflow_provider_toggl.hooks.warehouse import open_warehouse, read_df
from airflow_provider_toggl.operators.iceberg import TogglIcebergFactsOperator, TogglIcebergMaintenanceOperator

pytestmark = pytest.mark.airflow


@pytest.fixture
def conn_id(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    pytest.importorskip("airflow.providers.apache.iceberg")
    extra = {"type": "sql", "uri": f"sqlite:///{tmp_path}/catalog.db", "warehouse": f"file://{tmp_path}/tables"}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "iceberg", "extra": extra}))
    return "warehouse"


def run(operator: Any) -> Mapping[str, Any]:
    result: Mapping[str, Any] = operator.execute({})
    return result


def test_small_files_of_loads_become_one(conn_id: str) -> None:
    for number in range(3):
        with open_warehouse(conn_id, schema="toggl") as target:
            target.load([entries(number)])
    result = run(TogglIcebergMaintenanceOperator(task_id="maintain", warehouse_conn_id=conn_id))
    assert result["rewritten_files"] == 3
    assert result["written_files"] == 1
    assert result["orphan_files"] == 0  # none is as old as 72 hours
    found = read_df("select count(*) as n from time_entries", warehouse_conn_id=conn_id)
    assert found["n"].tolist() == [3]


def test_the_facts_are_a_table(conn_id: str, tmp_path: Path) -> None:
    with open_warehouse(conn_id, schema="toggl") as target:
        target.load([entries(1, 2)])
    operator = TogglIcebergFactsOperator(task_id="facts", warehouse_conn_id=conn_id)
    assert run(operator)["rows"] == 2
    assert run(operator) == {"months": 0, "rows": 0}
    assert list((tmp_path / "tables" / "toggl" / "time_entry_facts" / "data").rglob("*.parquet"))


def test_tables_that_are_not_there_yet_are_created(conn_id: str) -> None:
    result = run(TogglIcebergMaintenanceOperator(task_id="maintain", warehouse_conn_id=conn_id))
    assert result["rewritten_files"] == 0


@pytest.mark.parametrize("argument", ["keep_snapshots_hours", "keep_orphans_hours"])
def test_files_that_a_running_load_may_need_are_never_deleted(argument: str) -> None:
    with pytest.raises(ConfigurationError, match=argument):
        TogglIcebergMaintenanceOperator(task_id="maintain", warehouse_conn_id="x", **{argument: 0.5})


def test_a_connection_of_another_type_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fields = {"conn_type": "duckdb", "host": str(tmp_path / "w.duckdb")}
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(fields))
    with pytest.raises(ConfigurationError, match=r"'other'.*iceberg"):
        run(TogglIcebergFactsOperator(task_id="facts", warehouse_conn_id="other"))


def test_a_fault_of_the_storage_is_a_warehouse_error(conn_id: str, tmp_path: Path) -> None:
    with open_warehouse(conn_id, schema="toggl") as target:
        target.load([entries(1)])
    for path in (tmp_path / "tables" / "toggl" / "time_entries" / "metadata").glob("snap-*.avro"):
        path.unlink()
    with pytest.raises(WarehouseError) as error:
        run(TogglIcebergFactsOperator(task_id="facts", warehouse_conn_id=conn_id))
    assert error.value.fault is DatabaseFault.CORRUPT
