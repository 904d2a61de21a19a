"""Airflow connections to a sandbox and to a DuckDB file, as environment variables of one test."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_toggl.sandbox.server import RunningSandbox

#: A secret that no log or output may contain.
WEBHOOK_SECRET = "whsec-7d1f0c9b2a"


class Connections:
    """Sets connections and options of Airflow for one test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self._monkeypatch = monkeypatch
        self.warehouse = folder / "warehouse.duckdb"
        self.set_option("state_dir", str(folder / "state"))

    def set(self, conn_id: str, **fields: Any) -> None:
        """Set a connection in Airflow's JSON form."""
        self._monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))

    def set_option(self, name: str, value: str) -> None:
        """Set an option of the section ``[toggl]``."""
        self._monkeypatch.setenv(f"AIRFLOW__TOGGL__{name.upper()}", value)

    def toggl(
        self,
        sandbox: RunningSandbox,
        conn_id: str = "toggl_default",
        *,
        token: str | None = None,
        host: str | None = None,
        **extra: Any,
    ) -> None:
        """Set a connection to a sandbox; extras that are None are left out."""
        known = {
            "workspace_id": sandbox.workspace_id,
            "requests_per_second": 200,
            "quota_reserve": 0,
            "webhook_secret": WEBHOOK_SECRET,
            **extra,
        }
        self.set(
            conn_id,
            conn_type="toggl",
            host=sandbox.url if host is None else host,
            password=sandbox.token if token is None else token,
            extra={name: value for name, value in known.items() if value is not None},
        )

    def duckdb(self, conn_id: str = "duckdb_default", path: Path | None = None) -> Path:
        """Set a connection to a DuckDB file, and return the file."""
        path = path or self.warehouse
        self.set(conn_id, conn_type="duckdb", host=str(path))
        return path


@contextmanager
def all_logs() -> Iterator[list[str]]:
    """Collect all log lines with tracebacks, before anything masks secrets in them."""
    lines: list[str] = []
    form = logging.Formatter("%(name)s %(message)s")

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(form.format(record))

    root, handler = logging.getLogger(), Collector(logging.DEBUG)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
