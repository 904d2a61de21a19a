"""Whatever happens to a workspace and to who reads it: once it is quiet, one reconciliation leaves the truth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.random_workspace import Model
from support.sandboxes import SandboxHost
from support.servers.postgres import PostgresServer
from support.servers.receivers import ReceiverThread
from support.warehouses import WarehouseLocation

#: Of other warehouses than Iceberg: odd ones in PostgreSQL, the others in DuckDB.
SEEDS = range(1000, 1200)

Check = Callable[[WarehouseLocation, int], None]


@pytest.fixture
def check(pull_host: SandboxHost, receiver_host: ReceiverThread, tmp_path: Path) -> Check:
    """Live by a seed in a warehouse, settle, and compare."""

    def live(place: WarehouseLocation, seed: int) -> None:
        model = Model(pull_host, receiver_host, tmp_path, lambda: place.open(lock_timeout=5), seed)
        model.live(steps=30)
        summary = model.settle()
        assert model.wrong() == [], "\n".join([*model.history, str(summary)])

    return live


@pytest.mark.parametrize("seed", [1, 2])
def test_the_warehouse_equals_the_truth_in_duckdb(check: Check, tmp_path: Path, seed: int) -> None:
    check(WarehouseLocation("duckdb", str(tmp_path / "warehouse.duckdb")), seed)


@pytest.mark.xdist_group("postgres-warehouses")
@pytest.mark.parametrize("seed", [4])
def test_the_warehouse_equals_the_truth_in_postgresql(check: Check, postgres: PostgresServer, seed: int) -> None:
    check(WarehouseLocation("postgres", postgres.dsn, f"model_{seed}"), seed)


@pytest.mark.parametrize("seed", [6, 7, 8])
def test_the_warehouse_equals_the_truth_in_iceberg(check: Check, tmp_path: Path, seed: int) -> None:
    pytest.importorskip("pyiceberg")
    check(WarehouseLocation("iceberg", str(tmp_path / "iceberg")), seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2000, 2100))
def test_the_warehouse_equals_the_truth_in_iceberg_for_any_seed(check: Check, tmp_path: Path, seed: int) -> None:
    pytest.importorskip("pyiceberg")
    check(WarehouseLocation("iceberg", str(tmp_path / "iceberg")), seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", SEEDS)
def test_the_warehouse_equals_the_truth_for_any_seed(
    check: Check, tmp_path: Path, postgres: PostgresServer, seed: int
) -> None:
    in_duckdb = WarehouseLocation("duckdb", str(tmp_path / "warehouse.duckdb"))
    check(WarehouseLocation("postgres", postgres.dsn, f"model_{seed}") if seed % 2 else in_duckdb, seed)
