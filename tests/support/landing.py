"""Put Airflow, the sandbox and a warehouse together."""

from __future__ import annotations

from pathlib import Path

from support.airflow_home import AirflowHome

from airflow_provider_toggl.sandbox.server import SandboxProcess


def connect(home: AirflowHome, toggl: SandboxProcess, **extra: object) -> Path:
    """Give Airflow the sandbox and a DuckDB file; return the file."""
    home.set_connection(
        "toggl_default",
        {
            "conn_type": "toggl",
            "host": toggl.url,
            "password": toggl.token,
            "extra": {"workspace_id": toggl.workspace_id, "requests_per_second": 100, **extra},
        },
    )
    path = home.path / "warehouse.duckdb"
    home.set_connection("duckdb_default", {"conn_type": "duckdb", "host": str(path)})
    return path
