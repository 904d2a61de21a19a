from __future__ import annotations

import pyarrow as pa
from support.file_store import arrow_schema

from airflow_provider_toggl.core.errors import DatabaseFault, WarehouseLocked
from airflow_provider_toggl.core.load.engines.table_store.contract import CommitConflict, TableChange
from airflow_provider_toggl.core.load.engines.table_store.tables import REJECTED

NONE = pa.array([], pa.string())


def test_a_change_of_new_rows_only_can_be_appended() -> None:
    rows = arrow_schema(REJECTED).empty_table()
    assert TableChange(REJECTED, rows, NONE, NONE).is_append
    assert not TableChange(REJECTED, rows, pa.array(["a"]), NONE).is_append
    assert not TableChange(REJECTED, rows, NONE, pa.array(["a"])).is_append


def test_a_conflict_can_be_tried_again_and_names_the_store() -> None:
    conflict = CommitConflict("s3://bucket/toggl")
    assert isinstance(conflict, WarehouseLocked)
    assert conflict.fault is DatabaseFault.LOCKED
    assert str(conflict).startswith("s3://bucket/toggl: another process committed at the same time")
