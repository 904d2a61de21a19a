"""A table store in one file: the least that the contract asks of a store, for tests of the engine above it."""

from __future__ import annotations

import fcntl
import os
import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_toggl.core.errors import DatabaseFault, WarehouseError
from airflow_provider_toggl.core.load.decode.column_types import COLUMN_TYPES
from airflow_provider_toggl.core.load.engines.duckdb.engine import DUCKDB
from airflow_provider_toggl.core.load.engines.duckdb.memory import open_in_memory
from airflow_provider_toggl.core.load.engines.table_store.contract import (
    CommitConflict,
    StoredState,
    TableChange,
    TableStore,
)
from airflow_provider_toggl.core.load.engines.table_store.tables import STATE_TABLES, STORED_TABLES, StoredTable
from airflow_provider_toggl.core.load.engines.table_store.views import build_views

_TYPES = {"word": pa.string(), "key": pa.string()}


def arrow_schema(table: StoredTable) -> pa.Schema:
    """Return the columns of a table as Arrow types."""
    return pa.schema([(c.name, _TYPES.get(c.type) or COLUMN_TYPES[c.type].arrow) for c in table.columns])


class FileStore(TableStore):
    """Keeps all tables in one pickled file, which a commit replaces.

    :param path: the file.
    """

    name = "FileStore"

    def __init__(self, path: Path, schema: str = "toggl") -> None:
        super().__init__(schema, str(path))
        self._path = path

    def open(self) -> None:
        if self._path.is_dir():
            raise OSError("is a directory")

    def close(self) -> None:
        pass

    def exists(self) -> bool:
        return self._path.exists()

    def create(self) -> None:
        with self._lock():
            if not self.exists():
                self._write(0, {name: arrow_schema(table).empty_table() for name, table in STORED_TABLES.items()})

    def read_state(self) -> StoredState:
        revision, tables = self._read()
        return StoredState(revision, {name: tables[name] for name in STATE_TABLES})

    def read_rows(self, table: StoredTable, keys: pa.Array) -> pa.Table:
        stored = self._read()[1][table.name]
        return stored.filter(pc.is_in(stored[table.key[0]], keys))

    def read_workspace(self, table: StoredTable, workspace_id: int | None) -> pa.Table:
        stored = self._read()[1][table.name]
        return stored if workspace_id is None else stored.filter(pc.equal(stored["workspace_id"], workspace_id))

    def commit(self, revision: int, changes: Sequence[TableChange]) -> None:
        with self._lock():
            current, tables = self._read()
            if current != revision:
                raise CommitConflict(self.where)
            for change in changes:
                tables[change.table.name] = _apply(tables[change.table.name], change)
            self._write(revision + 1, tables)

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        with open_in_memory() as connection:
            for name, table in self._read()[1].items():
                connection.register(name, table)
            for view in build_views(DUCKDB).values():
                connection.execute(view.replace("create or replace view", "create temporary view"))
            return connection.sql(sql, params=list(parameters)).to_arrow_table()

    def translate(self, error: BaseException) -> WarehouseError | None:
        if isinstance(error, OSError):
            return WarehouseError(f"{self.where} cannot be used: {error.strerror}.", fault=DatabaseFault.UNREACHABLE)
        return None

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _read(self) -> tuple[int, dict[str, pa.Table]]:
        return pickle.loads(self._path.read_bytes())  # type: ignore[no-any-return]

    def _write(self, revision: int, tables: dict[str, pa.Table]) -> None:
        new = self._path.with_suffix(f".{os.getpid()}.new")
        new.write_bytes(pickle.dumps((revision, tables)))
        new.replace(self._path)


def _apply(stored: pa.Table, change: TableChange) -> pa.Table:
    rows = change.rows.cast(stored.schema)
    if not change.table.key:
        return rows
    gone = set(zip(*(rows[name].to_pylist() for name in change.table.key), strict=True))
    gone |= {(key,) for key in change.deleted.to_pylist()}
    keys = zip(*(stored[name].to_pylist() for name in change.table.key), strict=True)
    kept = stored.filter(pa.array([key not in gone for key in keys], pa.bool_()))
    return pa.concat_tables([kept, rows])
