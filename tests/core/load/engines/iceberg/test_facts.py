"""The table of facts."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from support.toggl_rows import entries

pytest.importorskip("pyiceberg")

from support.iceberg_catalogs import progress

from airflow_provider_toggl.core.load.engines.iceberg.facts import refresh
from airflow_provider_toggl.core.load.engines.iceberg.maintenance import maintain
from airflow_provider_toggl.core.load.engines.iceberg.schemas import FACTS_TABLE
from airflow_provider_toggl.core.load.engines.iceberg.store import IcebergStore
from airflow_provider_toggl.core.load.warehouse import Warehouse

COUNT = 'select count(*), count(distinct "id") from "time_entries"'
FACTS = ", ".join(f'"{column.name}"' for column in FACTS_TABLE.columns)
LATER = datetime.now(timezone.utc) + timedelta(hours=1)


def facts_table(store: IcebergStore) -> list[dict[str, Any]]:
    found = (
        store.load_table("time_entry_facts", again=True)
        .scan()
        .to_arrow()
        .select([column.name for column in FACTS_TABLE.columns])
    )
    return sorted(found.to_pylist(), key=lambda row: row["time_entry_id"])


def facts_view(target: Warehouse) -> list[dict[str, Any]]:
    return list(target.query(f'select {FACTS} from "time_entry_facts" order by "time_entry_id"').to_pylist())


def test_the_table_of_facts_equals_the_view(opened_with_pages: Any) -> None:
    _, store, target = opened_with_pages
    assert refresh(store)["rows"] == 100
    assert facts_table(store) == facts_view(target)


def test_only_months_with_changes_are_written_again(opened_with_pages: Any) -> None:
    _, store, target = opened_with_pages
    target.load([entries(1000, start="2025-08-20T00:00:00-08:00", stop="2025-08-20T00:45:00-08:00")], progress(7))
    assert refresh(store)["rows"] == 101
    assert refresh(store) == {"months": 0, "rows": 0}
    target.load([entries(1001, start="2025-08-21T00:00:00-08:00", stop="2025-08-21T00:45:00-08:00")], progress(8))
    assert refresh(store) == {"months": 1, "rows": 2}
    assert facts_table(store) == facts_view(target)


def test_another_time_zone_writes_all_months_again(opened_with_pages: Any) -> None:
    _, store, target = opened_with_pages
    refresh(store)
    target.set_timezone("Pacific/Auckland")
    assert refresh(store)["rows"] == 100
    assert facts_table(store) == facts_view(target)
    assert {str(row["local_date"]) for row in facts_table(store)} == {"2025-05-01"}


def test_maintenance_keeps_what_the_next_refresh_needs(opened_with_pages: Any) -> None:
    _, store, target = opened_with_pages
    refresh(store)
    target.set_timezone("Pacific/Auckland")
    refresh(store)
    maintain(store, LATER, keep_snapshots=timedelta(0), keep_orphans=timedelta(0))
    assert len(store.load_table("time_entry_facts", again=True).metadata.snapshots) == 1
    assert refresh(store) == {"months": 0, "rows": 0}
    assert facts_table(store) == facts_view(target)
