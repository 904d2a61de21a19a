"""The databases that the statements of the example DAGs are for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.connections import Connections

from airflow_provider_toggl.hooks.warehouse import open_warehouse


@pytest.fixture(params=["duckdb", "postgres"])
def warehouse(request: pytest.FixtureRequest, connections: Connections, tmp_path: Path) -> Any:
    fields = {"conn_type": "duckdb", "host": str(tmp_path / "warehouse.duckdb")}
    if request.param == "postgres":
        fields = request.getfixturevalue("postgres_fields")
    connections.set("warehouse", **fields)
    with open_warehouse("warehouse", schema="toggl") as target:
        yield target
