from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.fakes import FakeClock
from support.warehouses import Place

from airflow_provider_toggl.core.land.sql_target import SqlTarget

ENGINES = ["duckdb"]


@pytest.fixture(params=ENGINES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place("duckdb", str(tmp_path / "warehouse.duckdb"))


@pytest.fixture
def target(place: Place, clock: FakeClock) -> Iterator[SqlTarget]:
    with place.open(clock=clock) as target:
        yield target
