from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.fakes import FakeClock
from support.warehouses import WarehouseLocation

from airflow_provider_toggl.core.load.warehouse import Warehouse

numbers = itertools.count(1)

# Servers are fixtures of tests/support/fixtures.py. The tests of an xdist_group run in one process, which starts the
# server for all of them.
CLOUDS = (pytest.mark.soak, pytest.mark.clouds)

ENGINES = [
    "duckdb",
    pytest.param("postgres", marks=pytest.mark.xdist_group("postgres-warehouses")),
    "sqlite",
    # Iceberg uses the same engine.
    pytest.param("file", marks=pytest.mark.soak),
    "iceberg",
    pytest.param("iceberg in s3", marks=CLOUDS),
    pytest.param("snowflake", marks=[*CLOUDS, pytest.mark.xdist_group("snowflake")]),
    pytest.param("clickhouse", marks=[*CLOUDS, pytest.mark.xdist_group("clickhouse")]),
    pytest.param("mysql", marks=pytest.mark.xdist_group("mariadb")),
    pytest.param("ansi", marks=pytest.mark.xdist_group("postgres-warehouses")),
    pytest.param("bigquery", marks=[*CLOUDS, pytest.mark.xdist_group("bigquery")]),
]


@pytest.fixture(params=ENGINES)
def unprepared(request: pytest.FixtureRequest, tmp_path: Path) -> WarehouseLocation:
    """A place of an engine that has no tables yet."""
    if request.param == "mysql":
        return WarehouseLocation("mysql", str(request.getfixturevalue("mariadb").port), f"toggl_{next(numbers)}")
    if request.param == "snowflake":
        port = request.getfixturevalue("snowflake").port
        return WarehouseLocation("snowflake", str(port), f"toggl_{next(numbers)}")
    if request.param == "clickhouse":
        return WarehouseLocation(
            "clickhouse", str(request.getfixturevalue("clickhouse").port), f"toggl_{next(numbers)}"
        )
    if request.param == "bigquery":
        return WarehouseLocation("bigquery", str(request.getfixturevalue("bigquery").port), f"toggl_{next(numbers)}")
    if request.param in ("postgres", "ansi"):
        return WarehouseLocation(request.param, request.getfixturevalue("postgres").dsn, f"toggl_{next(numbers)}")
    if request.param.startswith("iceberg"):
        pytest.importorskip("pyiceberg")
    if request.param == "iceberg in s3":
        storage = json.dumps(request.getfixturevalue("moto").properties(tmp_path.name))
        return WarehouseLocation("iceberg", f"{tmp_path}#{storage}")
    return WarehouseLocation(request.param, str(tmp_path / f"warehouse.{request.param}"))


@pytest.fixture
def place(unprepared: WarehouseLocation, request: pytest.FixtureRequest) -> WarehouseLocation:
    """A place of an engine where nothing has been loaded yet; with copied tables where creating them takes long."""
    if unprepared.engine == "duckdb":
        shutil.copy(request.getfixturevalue("empty_warehouse"), unprepared.where)
    if unprepared.engine == "iceberg" and "#" not in unprepared.where:
        return replace(unprepared, where=str(request.getfixturevalue("iceberg_folder")))
    return unprepared


@pytest.fixture
def target(place: WarehouseLocation, clock: FakeClock) -> Iterator[Warehouse]:
    with place.open(clock=clock) as target:
        yield target
