from __future__ import annotations

import shutil
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


@pytest.fixture(scope="session")
def prepared_iceberg(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder for Iceberg catalogs, and a copy of it with empty tables: creating them takes longer than most tests."""
    pytest.importorskip("pyiceberg")
    from support.warehouses import WarehouseLocation

    folder, copy = (tmp_path_factory.mktemp(name) for name in ("iceberg", "prepared-iceberg"))
    with WarehouseLocation("iceberg", str(folder)).open() as target:
        target.prepare()
    shutil.copytree(folder, copy, dirs_exist_ok=True)
    return folder, copy


@pytest.fixture
def iceberg_folder(prepared_iceberg: tuple[Path, Path]) -> Path:
    """A folder with a catalog of empty tables. All tests use the same one, since its files contain their paths."""
    folder, copy = prepared_iceberg
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)
    return folder
