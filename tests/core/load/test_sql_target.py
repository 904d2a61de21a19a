from __future__ import annotations

import pytest
from support.toggl_rows import at
from support.warehouses import rows

from airflow_provider_toggl.core.load.duckdb_target import DuckdbTarget
from airflow_provider_toggl.core.load.sql_target import SqlTarget, store_offsets
from airflow_provider_toggl.core.load.zones import find_spans


def test_what_a_target_must_bring_itself_is_abstract() -> None:
    with pytest.raises(TypeError, match="abstract"):
        SqlTarget(None)  # type: ignore[abstract, arg-type]


def test_the_offsets_of_one_zone_are_kept_and_no_others(target: DuckdbTarget) -> None:
    with target._transaction() as session:
        session.run("create table zone_offsets (begin_at timestamptz, end_at timestamptz, offset_seconds bigint)")
        for zone in ("Europe/Berlin", "Asia/Kolkata"):
            store_offsets(session, zone)
    assert len(find_spans("Asia/Kolkata")) == 1
    sql = "select offset_seconds from zone_offsets where begin_at <= ? and end_at > ?"
    assert rows(target, sql, [at(0), at(0)]) == [(19800,)]
