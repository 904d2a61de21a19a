"""The engine of all table stores: statements run in an in-memory DuckDB, and a commit stores what they changed."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_toggl.core.databases import faults
from airflow_provider_toggl.core.errors import ConfigurationError, WarehouseError
from airflow_provider_toggl.core.load.engines.contract import Engine
from airflow_provider_toggl.core.load.engines.dialect import quote
from airflow_provider_toggl.core.load.engines.duckdb.engine import DUCKDB
from airflow_provider_toggl.core.load.engines.duckdb.memory import open_in_memory
from airflow_provider_toggl.core.load.engines.table_store.contract import TableChange, TableStore
from airflow_provider_toggl.core.load.engines.table_store.tables import ROW_TABLES, STATE_TABLES, StoredTable
from airflow_provider_toggl.core.load.merging import rule
from airflow_provider_toggl.core.load.tables import migrations
from airflow_provider_toggl.core.load.tables.schemas import KEY, TableSchema

STATE_SECONDS = 2.0
"""Seconds for which the state that was read or committed last counts as current; a commit checks it in any case."""

_KEY_OF_COLUMN = re.compile(r" primary key\b(?! \()")
_UNKNOWN_NAMES = (duckdb.CatalogException, duckdb.BinderException, duckdb.ParserException)
_ROWS, _BEFORE = "toggl_rows", "toggl_before"


class TableStoreEngine(Engine):
    """Loads into a table store.

    A transaction reads the small tables, and of the large ones the rows whose keys are staged, into DuckDB. The
    statements of the merge run there. A commit stores the rows that they changed if the store still has the revision
    that was read.

    :param store: the store.
    :param lock_timeout: seconds for which a load is repeated while others commit.
    """

    rolls_back_writes = False
    runs_own_statements = False
    has_current_tables = True

    def __init__(self, store: TableStore, *, lock_timeout: float = 300.0) -> None:
        super().__init__(store.schema, store.where, lock_timeout)
        self.store = store
        self.dialect = replace(DUCKDB, name=store.name, text_limit=store.text_limit)
        self._memory: duckdb.DuckDBPyConnection | None = None
        self._exists = False
        self._revision: int | None = None
        self._read_at = 0.0
        self._before: dict[str, list[pa.Table]] = {}
        self._known_keys: dict[str, pa.Array] = {}
        self._complete: set[str] = set()

    # The connection

    @property
    def is_open(self) -> bool:
        """Whether the store is open."""
        return self._memory is not None

    def exists(self) -> bool:
        """Return True: only an open store can say whether our tables are there."""
        return True

    def open(self) -> None:
        """Open the store, and create empty tables in memory."""
        self.store.open()
        self._memory = open_in_memory()
        self.run("set threads = 1")
        for statement in migrations.create_all(self.dialect):
            # Without primary keys: looking keys up in an index costs more than the rest of a load.
            self.run(_KEY_OF_COLUMN.sub("", statement) if statement.startswith("create table") else statement)
        self._exists = self.store.exists()

    def close(self) -> None:
        """Close the store."""
        memory, self._memory, self._revision = self._memory, None, None
        self._forget()
        if memory is not None:
            memory.close()
        self.store.close()

    # Transactions

    def begin(self, *, writing: bool) -> None:
        """Begin a transaction in memory, with the state of the store."""
        is_current = self._revision is not None and time.monotonic() - self._read_at < STATE_SECONDS
        if self._exists and not is_current:
            self._read_state()
        self.run("begin transaction")
        self._forget()

    def commit(self, *, writing: bool) -> None:
        """Store what the transaction changed."""
        if writing and self._exists and self._revision is not None:
            changes = [*self._find_state_changes(), *self._find_row_changes()]
            if changes:
                self.store.commit(self._revision, changes)
                self._revision += 1
                self._read_at = time.monotonic()
        for name in ROW_TABLES:
            self.run(f"truncate {quote(name)}")
        self.run("commit")
        self._forget()

    def rollback(self) -> None:
        """Forget what the transaction changed."""
        self.run("rollback")
        self._forget()

    # The schema

    def has_tables(self) -> bool:
        """Return whether the store has our tables."""
        return self._exists

    def make_schema(self) -> None:
        """Create the tables in the store."""
        self.store.create()
        self._exists = True
        self._revision = self._fill_state()

    def check_zone(self, timezone: str) -> None:
        """Refuse a time zone that DuckDB or the store's views do not know."""
        try:
            self.run("select timezone(?, now())", [timezone])
        except duckdb.Error:
            raise ConfigurationError(f"DuckDB knows no time zone {timezone!r}.") from None
        self.store.check_zone(timezone)

    def find_holders(self) -> list[str]:
        """Return descriptions of the sessions that write now, where the store can list them."""
        return self.store.find_holders()

    def read_clock(self) -> float | None:
        """Return the server's time in seconds since the epoch, None without a server."""
        return self.store.read_clock()

    def translate(self, error: BaseException) -> WarehouseError | None:
        """Return an error of the store's client library, or of DuckDB, as one of this package."""
        if not isinstance(error, duckdb.Error):
            return self.store.translate(error)
        fault = faults.find_by_text(faults.DUCKDB, str(error))
        advice = faults.ADVICE.get(fault, "")
        if isinstance(error, _UNKNOWN_NAMES):
            advice = (
                "Only this package's own statements can run in its transactions; run yours with the engine's own hook."
            )
        words = f"{self.where}: the in-memory DuckDB that computes loads failed: {faults.first_line(error)}"
        return WarehouseError(f"{words} {advice}".rstrip(), fault=fault)

    # Statements

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement in memory to its end and return its rows."""
        return self._duckdb.execute(sql, list(parameters)).fetchall()

    def run_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement in memory for each row of parameters."""
        for row in rows:
            self.run(sql, row)

    def table(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Return the result of a query of what is in memory."""
        return self._duckdb.sql(sql, params=list(parameters)).to_arrow_table()

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Return the result of a query of all that is stored."""
        return self.store.query(sql, parameters)

    def has_stored(self, table: TableSchema, keys: Sequence[int]) -> bool:
        """Return whether one of some keys is stored, and read the rows with these keys."""
        self.fetch_keys(table.name, keys)
        return super().has_stored(table, keys)

    def stage(self, table: TableSchema, rows: pa.Table) -> None:
        """Let statements read rows, and the stored rows with their keys."""
        self.fetch_keys(table.name, rows[KEY].to_pylist())
        self._duckdb.register(rule.INCOMING, rows)

    def insert(self, table: TableSchema, rows: pa.Table) -> None:
        """Insert rows of which no key is stored."""
        self._duckdb.register(rule.INCOMING, rows)
        try:
            self.run(rule.insert_new(table, self.dialect))
        finally:
            self.unstage()

    def unstage(self) -> None:
        """Remove the staged rows."""
        self._duckdb.unregister(rule.INCOMING)

    def fetch_keys(self, table: str, keys: Sequence[Any]) -> None:
        """Read the stored rows with some keys into memory."""
        wanted = pc.unique(pa.array(keys, pa.int64() if ROW_TABLES[table].columns[0].type == "bigint" else pa.string()))
        if table in self._known_keys:
            wanted = wanted.filter(pc.invert(pc.is_in(wanted, self._known_keys[table])))
        if len(wanted) and self._exists and table not in self._complete:
            self._add_rows(ROW_TABLES[table], wanted, self.store.read_rows(ROW_TABLES[table], wanted))

    def fetch_workspace(self, table: str, workspace_id: int | None) -> None:
        """Read all stored rows of a workspace, or of all, into memory."""
        if not self._exists or table in self._complete:
            return
        if workspace_id is None:
            self._complete.add(table)
        rows = self.store.read_workspace(ROW_TABLES[table], workspace_id)
        if table in self._known_keys:
            rows = rows.filter(pc.invert(pc.is_in(rows[KEY], self._known_keys[table])))
        self._add_rows(ROW_TABLES[table], rows[KEY].combine_chunks(), rows)

    # What is in memory

    @property
    def _duckdb(self) -> duckdb.DuckDBPyConnection:
        if self._memory is None:
            raise WarehouseError(f"{self.where} is not open.")
        return self._memory

    def _read_state(self) -> None:
        self.run("begin transaction")
        self._revision = self._fill_state()
        self.run("commit")

    def _fill_state(self) -> int:
        """Fill the small tables in memory from the store, and return the revision."""
        state = self.store.read_state()
        self._read_at = time.monotonic()
        for name, table in STATE_TABLES.items():
            self.run(f"delete from {quote(name)}")  # noqa: S608 - a name of ours
            self._insert(table, state.tables[name])
        self._state = dict(state.tables)
        return state.revision

    def _add_rows(self, table: StoredTable, keys: pa.Array, rows: pa.Table) -> None:
        """Add stored rows to those in memory.

        :param keys: all keys that are known now, also of rows that are not stored.
        """
        known = self._known_keys.get(table.name)
        self._known_keys[table.name] = keys if known is None else pa.concat_arrays([known, keys])
        if rows.num_rows:
            self._insert(table, rows)
            self._before.setdefault(table.name, []).append(rows.select([column.name for column in table.columns]))

    def _insert(self, table: StoredTable, rows: pa.Table) -> None:
        if rows.num_rows:
            names = rule.names_of(table.columns)
            self._duckdb.register(_ROWS, rows)
            self.run(f"insert into {quote(table.name)} ({names}) select {names} from {_ROWS}")  # noqa: S608 - names of ours
            self._duckdb.unregister(_ROWS)

    def _find_state_changes(self) -> list[TableChange]:
        found = []
        for name, table in STATE_TABLES.items():
            rows = self._differing_rows(table, self._state[name])
            if rows.num_rows:
                found.append(TableChange(table, rows, _none(table), _none(table)))
                self._state[name] = self._all_rows(table)
        return found

    def _find_row_changes(self) -> list[TableChange]:
        found = []
        for name, table in ROW_TABLES.items():
            before = pa.concat_tables(self._before[name]) if name in self._before else None
            replaced = deleted = _none(table)
            if before is None:
                rows = self._all_rows(table)
            else:
                rows = self._differing_rows(table, before)
                stored, kept = before[KEY].combine_chunks(), self.table(f"select {quote(KEY)} from {quote(name)}")[KEY]  # noqa: S608 - names of ours
                replaced = stored.filter(pc.is_in(stored, rows[KEY].combine_chunks()))
                deleted = stored.filter(pc.invert(pc.is_in(stored, kept.combine_chunks())))
            if rows.num_rows or len(deleted):
                found.append(TableChange(table, rows, replaced, deleted))
        return found

    def _all_rows(self, table: StoredTable) -> pa.Table:
        return self.table(f"select {rule.names_of(table.columns)} from {quote(table.name)}")  # noqa: S608 - names of ours

    def _differing_rows(self, table: StoredTable, before: pa.Table) -> pa.Table:
        """Return the rows in memory that are not exactly among those before."""
        names = rule.names_of(table.columns)
        self._duckdb.register(_BEFORE, before)
        differing = self.table(
            f"select {names} from {quote(table.name)} except select {names} from {_BEFORE}"  # noqa: S608 - names of ours
        )
        self._duckdb.unregister(_BEFORE)
        return differing

    def _forget(self) -> None:
        self._before, self._known_keys = {}, {}
        self._complete = set()


def _none(table: StoredTable) -> pa.Array:
    return pa.array([], pa.string() if table.columns[0].type != "bigint" else pa.int64())
