from __future__ import annotations

import pyarrow as pa
from support.toggl_rows import NOON, at

from airflow_provider_toggl.core.load.engines.contract import instants_of


def test_instants_of_a_column_are_aware_whatever_the_unit_and_null_stays_null() -> None:
    for unit in ("s", "ms", "us"):
        column = pa.chunked_array([pa.array([NOON, None, at(5)], pa.timestamp(unit, tz="UTC"))])
        assert instants_of(column) == [NOON, None, at(5)]
