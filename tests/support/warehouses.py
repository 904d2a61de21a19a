"""Warehouses of each engine, which other processes can open too.

As a program (``python -m support.warehouses``) it loads pages with their progress, and prints the number of each.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import psycopg
from support.servers import mariadb
from support.toggl_rows import NOON, at, entries

from airflow_provider_toggl.core.load.dbapi_target import DbApi, DbApiTarget
from airflow_provider_toggl.core.load.duckdb_target import DuckdbTarget
from airflow_provider_toggl.core.load.postgres_target import PostgresTarget
from airflow_provider_toggl.core.load.sql_target import SqlTarget
from airflow_provider_toggl.core.load.target import Progress


@dataclass(frozen=True)
class WarehouseLocation:
    """Where a warehouse is.

    :param where: the file, the DSN or the port.
    """

    engine: str
    where: str
    schema: str = "toggl"

    def open(self, **options: Any) -> SqlTarget:
        """Return the warehouse; a file is released to other processes after each call."""
        options = {"schema": self.schema, "lock_timeout": 60, **options}
        if self.engine == "duckdb":
            return DuckdbTarget(self.where, **{"hold_seconds": 0, **options})
        if self.engine == "postgres":
            return PostgresTarget(self.where, **options)
        return DbApiTarget(self.api(), **options)

    def api(self) -> DbApi:
        """Return the DB-API access to the warehouse, as Airflow's hook gives it."""
        if self.engine == "sqlite":
            return DbApi(lambda: sqlite3.connect(f"file:{self.where}", uri=True), "?", "sqlite", f"SQLite {self.where}")
        if self.engine == "mysql":
            return DbApi(lambda: mariadb.connect(int(self.where)), "%s", "mysql", f"MariaDB {self.schema}")
        # PostgreSQL in the role of an engine that the package does not know.
        return DbApi(lambda: psycopg.connect(self.where), "%s", "ansi", f"unknown {self.schema}")


def rows(target: SqlTarget, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Return the rows of a query as tuples."""
    table = target.query(sql, parameters)
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True)) if table.num_columns else []


@contextmanager
def loading(place: WarehouseLocation, *, first: int, pages: int, size: int) -> Iterator[subprocess.Popen[str]]:
    """Yield a process that loads pages of time entries with their progress, and prints the number of each."""
    order = {**asdict(place), "first": first, "pages": pages, "size": size}
    process = subprocess.Popen(
        [sys.executable, "-m", "support.warehouses", json.dumps(order)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def main(order: dict[str, Any]) -> None:
    """Load pages; entries with equal ids are the same entries in all processes."""
    first, size = order["first"], order["size"]
    with WarehouseLocation(order["engine"], order["where"], order["schema"]).open() as target:
        for page in range(order["pages"]):
            ids = range(first + page * size, first + (page + 1) * size)
            progress = Progress("time_entries", str(os.getpid()), at(page), str(page), 1, NOON)
            target.land([entries(*ids, seconds=page)], progress)
            target.release()
            print(page, flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
