"""Warehouses of each engine for tests: places that can be opened again, also by other processes.

As a program (``python -m support.warehouses``) it loads pages one after another, each with its progress, and prints
the number of each.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.file_store import FileStore
from support.servers import mariadb
from support.toggl_rows import NOON, at, entries, tags

from airflow_provider_toggl.core.clock import Clock
from airflow_provider_toggl.core.errors import WarehouseError
from airflow_provider_toggl.core.load.engines.clickhouse.store import ClickhouseStore
from airflow_provider_toggl.core.load.engines.contract import Engine
from airflow_provider_toggl.core.load.engines.dbapi.ansi import ANSI, AnsiEngine
from airflow_provider_toggl.core.load.engines.dbapi.engine import DbApi
from airflow_provider_toggl.core.load.engines.dbapi.mysql import MYSQL, MysqlEngine
from airflow_provider_toggl.core.load.engines.dbapi.sqlite import SQLITE, SqliteEngine
from airflow_provider_toggl.core.load.engines.duckdb.engine import DUCKDB, DuckdbEngine
from airflow_provider_toggl.core.load.engines.postgres.engine import POSTGRES, PostgresEngine
from airflow_provider_toggl.core.load.engines.table_store.contract import TableStore
from airflow_provider_toggl.core.load.engines.table_store.engine import TableStoreEngine
from airflow_provider_toggl.core.load.values import LoadResult, Progress
from airflow_provider_toggl.core.load.warehouse import Warehouse

# Clients are imported in these functions: not every environment of the tests has them.


def build_file(where: str, schema: str) -> TableStore:
    return FileStore(Path(where), schema)


def build_iceberg(where: str, schema: str) -> TableStore:
    """Return the store of Iceberg tables.

    :param where: a folder with a catalog in an SQLite file; after ``#``, pyiceberg's properties of another storage than
        that folder.
    """
    from pyiceberg.catalog import load_catalog

    from airflow_provider_toggl.core.load.engines.iceberg.store import IcebergStore

    folder, _, other = where.partition("#")
    Path(folder).mkdir(parents=True, exist_ok=True)
    properties = {"type": "sql", "uri": f"sqlite:///{folder}/catalog.db", "warehouse": f"file://{folder}"}
    properties |= json.loads(other or "{}")
    return IcebergStore(lambda: load_catalog("tests", **properties), schema, f"Iceberg {folder}")


def build_bigquery(where: str, schema: str) -> TableStore:
    from support.servers import bigquery

    return bigquery.build_store(where, schema)


def build_clickhouse(where: str, schema: str) -> ClickhouseStore:
    from support.servers import clickhouse

    return ClickhouseStore(lambda: clickhouse.connect(int(where)), schema, f"ClickHouse {schema}")


def build_snowflake(where: str, schema: str) -> TableStore:
    from support.servers import snowflake

    return snowflake.build_store(int(where), schema)


TABLE_STORES: dict[str, Callable[[str, str], TableStore]] = {
    "bigquery": build_bigquery,
    "clickhouse": build_clickhouse,
    "file": build_file,
    "iceberg": build_iceberg,
    "snowflake": build_snowflake,
}
"""How to build the store at a place of each engine that only keeps tables."""

DIALECTS = [DUCKDB, POSTGRES, SQLITE, MYSQL, ANSI]


@dataclass(frozen=True)
class WarehouseLocation:
    """Where a warehouse is.

    :param where: the file, the DSN or the port.
    """

    engine: str
    where: str
    schema: str = "toggl"

    @property
    def is_table_store(self) -> bool:
        """Whether its engine only keeps tables, see ``core/load/engines/table_store``."""
        return self.engine in TABLE_STORES

    def open(self, *, clock: Clock | None = None, **options: Any) -> Warehouse:
        """Return the warehouse; it lets others write after each call.

        :param options: those of the engine.
        """
        options = {"schema": self.schema, "lock_timeout": 60, **options}
        return Warehouse(self.build_engine(clock, **options), clock)

    def build_engine(self, clock: Clock | None = None, **options: Any) -> Engine:
        """Return the engine; DB-API drivers reach the place as Airflow's hooks do."""
        if self.engine == "duckdb":
            return DuckdbEngine(self.where, clock=clock, **{"hold_seconds": 0, **options})
        if self.is_table_store:
            return TableStoreEngine(TABLE_STORES[self.engine](self.where, options.pop("schema")), **options)
        if self.engine == "postgres":
            return PostgresEngine(self.where, **options)
        if self.engine == "sqlite":
            return SqliteEngine(
                DbApi(lambda: sqlite3.connect(f"file:{self.where}", uri=True), "?", f"SQLite {self.where}"), **options
            )
        if self.engine == "mysql":
            api = DbApi(lambda: mariadb.connect(int(self.where)), "%s", f"MariaDB {self.schema}")
            return MysqlEngine(api, **options)
        # An engine that the package does not know, played by one that it would know by its own driver.
        return AnsiEngine(DbApi(lambda: psycopg.connect(self.where), "%s", f"unknown {self.schema}"), **options)


def rows(target: Warehouse, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Return what a query finds as plain rows."""
    table = target.query(sql, parameters)
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True)) if table.num_columns else []


def check_that_a_dying_server_rolls_back(target: Warehouse, kill: Callable[[], None]) -> None:
    """Let the server die during a transaction; check that only that is lost and that the next load continues.

    :param kill: ends the server as in a crash, and starts it again.
    """

    def delete_and_kill() -> None:
        with target.transaction() as session:
            session.run('delete from "tags"')
            kill()
            session.run("select 1")

    progress = Progress("tags", "7", None, "1", 1, at(0))
    target.load([tags(1)], progress)
    with pytest.raises(WarehouseError, match="Nothing was lost"):
        delete_and_kill()
    state = target.find_state("tags", "7")
    assert state is not None
    assert (state.cursor, target.counts()["tags"]) == ("1", 1)
    assert target.load([tags(1, 2, seconds=1)], progress) == LoadResult(inserted=1, unchanged=1)


@contextmanager
def loading(place: WarehouseLocation, *, first: int, pages: int, size: int) -> Iterator[subprocess.Popen[str]]:
    """Yield a process that loads pages of entries, each with its progress, and prints the number of each."""
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
    """Load what the order says; entries of other processes with the same ids are the same entries."""
    first, size = order["first"], order["size"]
    with WarehouseLocation(order["engine"], order["where"], order["schema"]).open() as target:
        for page in range(order["pages"]):
            ids = range(first + page * size, first + (page + 1) * size)
            progress = Progress("time_entries", str(os.getpid()), at(page), str(page), 1, NOON)
            target.load([entries(*ids, seconds=page)], progress)
            target.release()
            print(page, flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
