from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.fakes import FakeClock

from airflow_provider_toggl.core.load.duckdb_target import DuckdbTarget


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    return tmp_path / "warehouse.duckdb"


@pytest.fixture
def target(warehouse: Path, clock: FakeClock) -> Iterator[DuckdbTarget]:
    """Return a target that gives the file back after every call, so that a test can look into it."""
    with DuckdbTarget(warehouse, clock=clock, lock_timeout=1, hold_seconds=0) as target:
        yield target
