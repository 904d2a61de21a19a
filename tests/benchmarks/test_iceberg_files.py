from __future__ import annotations

import inspect
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from support.repository import load_benchmark

from airflow_provider_toggl.operators.iceberg import TogglIcebergMaintenanceOperator

pytest.importorskip("pyiceberg")


@pytest.fixture
def program() -> ModuleType:
    return load_benchmark("iceberg_files")


def measured(**after: Any) -> dict[str, Any]:
    """Return a measurement within all limits, except for what is given of the time after the maintenance."""
    table = {"data_files": 3, "partitions": 3, "files_on_disk": 40}
    return {
        "after_drains": {"query_cpu_milliseconds": 100},
        "after_maintenance": {
            "query_cpu_milliseconds": after.get("query", 50),
            "tables": {"time_entries": {**table, "data_files": after.get("data_files", 3)}},
        },
        "four_days_later": {"tables": {"time_entries": {**table, "files_on_disk": after.get("files_on_disk", 40)}}},
        "tables_that_differ": after.get("differing", []),
    }


@pytest.mark.parametrize(
    ("after", "missed"),
    [
        ({}, []),
        ({"data_files": 4}, ["data files per partition after maintenance, time_entries"]),
        ({"files_on_disk": 44}, ["other files four days later, time_entries"]),
        ({"differing": ["tags"]}, ["tables whose rows are others after maintenance"]),
        ({"query": 101}, ["processor time of a query, after maintenance / before"]),
    ],
)
def test_each_limit_is_missed_by_what_it_forbids(program: ModuleType, after: dict[str, Any], missed: list[str]) -> None:
    assert [limit.name for limit in program.limits_of(measured(**after)) if not limit.ok] == missed


def test_the_maintenance_keeps_what_the_operator_keeps_by_default(program: ModuleType) -> None:
    parameters = inspect.signature(TogglIcebergMaintenanceOperator.__init__).parameters
    assert timedelta(hours=parameters["keep_snapshots_hours"].default) == program.KEEP_SNAPSHOTS
    assert timedelta(hours=parameters["keep_orphans_hours"].default) == program.KEEP_ORPHANS


@pytest.mark.soak
def test_drains_leave_many_files_and_the_maintenance_one_of_each_partition(program: ModuleType, tmp_path: Path) -> None:
    result = program.measure(tmp_path, 12)
    before, after, later = (
        result[stage]["tables"]["time_entries"] for stage in ("after_drains", "after_maintenance", "four_days_later")
    )
    assert before["rows"] == after["rows"] == later["rows"] == 12 * program.EVENTS / 3
    assert before["data_files"] > before["partitions"]
    assert after["data_files"] == after["partitions"] == before["partitions"]
    assert result["after_maintenance"]["orphan_files"] == 0
    assert later["files_on_disk"] < after["files_on_disk"]
    assert result["tables_that_differ"] == []
