"""A DuckDB in memory, for computing on rows of other engines."""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path

import duckdb

from airflow_provider_toggl.core.load.engines.duckdb.options import OWN_SETTINGS, write_setting


def open_in_memory() -> duckdb.DuckDBPyConnection:
    """Return a new in-memory DuckDB with this package's settings.

    What does not fit into memory goes into a folder of its own, which DuckDB creates when it needs it and removes at
    the end. Before version 2, DuckDB gives the files in it the same names in each process, so databases that share a
    folder overwrite each other's rows.
    """
    connection = duckdb.connect(":memory:")
    folder = Path(tempfile.gettempdir()) / f"toggl-duckdb-{uuid.uuid4().hex}"
    for name, value in {**OWN_SETTINGS, "temp_directory": str(folder)}.items():
        connection.execute(write_setting(name, value))
    return connection
