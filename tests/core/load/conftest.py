from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.fakes import FakeClock

from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.load.warehouse import Warehouse


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    return tmp_path / "warehouse.duckdb"


@pytest.fixture
def target(warehouse: Path, clock: FakeClock) -> Iterator[Warehouse]:
    """A warehouse that closes its file after every call, so that a test can read it."""
    with build_duckdb_warehouse(warehouse, clock=clock, lock_timeout=1, hold_seconds=0) as target:
        yield target
