"""The store of tables in Snowflake."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_toggl.core.databases.statements import to_format
from airflow_provider_toggl.core.errors import ConfigurationError, WarehouseError
from airflow_provider_toggl.core.load.engines.arrow_rows import build_table
from airflow_provider_toggl.core.load.engines.dialect import quote
from airflow_provider_toggl.core.load.engines.snowflake import dialect, errors, files, statements
from airflow_provider_toggl.core.load.engines.table_store.contract import (
    CommitConflict,
    StoredState,
    TableChange,
    TableStore,
)
from airflow_provider_toggl.core.load.engines.table_store.tables import STATE_TABLES, StoredTable

MOST_LISTED_KEYS = 5_000
"""Keys that are part of a statement, by which Snowflake skips partitions; more travel in a file. It takes 16,384."""

SESSION_PARAMETERS: dict[str, Any] = {
    # Instants get the offset of the session's zone when they are made of a number.
    "TIMEZONE": "UTC",
    "TIMESTAMP_INPUT_FORMAT": "AUTO",
    "TIMESTAMP_TZ_OUTPUT_FORMAT": "YYYY-MM-DD HH24:MI:SS.FF6 TZHTZM",
    "AUTOCOMMIT": True,
    # Tables have names in upper case, and this package's queries quote them in lower case.
    "QUOTED_IDENTIFIERS_IGNORE_CASE": True,
    "PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": "ARROW",
    # A repeated query of tables that did not change needs no warehouse.
    "USE_CACHED_RESULT": True,
}
"""What a session must have, whatever the account, the user or the connection says; no statement is needed for it."""

_SHOW_TABLES = "show tables like 'TOGGL_COMMITS' in schema"
_SHOW_COLUMNS = "show columns in schema"


class SnowflakeStore(TableStore):
    """Keeps the tables in a schema of Snowflake.

    Rows are uploaded as Parquet files to a temporary stage of the session; one script then merges them and moves the
    revision in one transaction. Only statements that read or change rows need a running warehouse.

    :param connect: returns a new connection of snowflake-connector-python, with ``SESSION_PARAMETERS`` and the schema
        as its current one.
    :param schema: the schema, in upper case.
    :param where: how errors name it.
    """

    name = "Snowflake"
    text_limit = dialect.TEXT_LIMIT

    def __init__(self, connect: Callable[[], Any], schema: str, where: str) -> None:
        super().__init__(schema, where)
        self._connect = connect
        self._connection: Any = None
        self._stage = ""

    # The connection

    def open(self) -> None:
        """Connect."""
        self._connection, self._stage = self._connect(), ""

    def close(self) -> None:
        """Disconnect, which drops the session's stage with its files."""
        connection, self._connection, self._stage = self._connection, None, ""
        if connection is not None:
            with suppress(Exception):
                connection.close()

    # The schema

    def exists(self) -> bool:
        """Return whether our tables are there; needs no warehouse."""
        try:
            return bool(self._run(f"{_SHOW_TABLES} {quote(self.schema)}"))
        except Exception as error:
            if errors.is_missing(error):
                return False
            raise

    def create(self) -> None:
        """Create what is missing: schema, tables, columns and views; needs a warehouse for one row."""
        if not self._has_schema():
            self._run(f"create schema if not exists {quote(self.schema)}")
        self._run(f"use schema {quote(self.schema)}")
        for statement in dialect.create_tables():
            self._run(statement)
        columns = self._run(f"{_SHOW_COLUMNS} {quote(self.schema)}")
        # Its first and third columns, by its documentation, are the table and the column.
        for statement in dialect.add_columns(frozenset((str(row[0]), str(row[2])) for row in columns)):
            self._run(statement)
        for statement in dialect.create_all_views():
            self._run(statement)
        # At last: its table says that all others are there.
        self._run(statements.CREATE_COMMITS)

    def check_zone(self, timezone: str) -> None:
        """Refuse a time zone that Snowflake does not know."""
        try:
            self._run("select convert_timezone(%s, current_timestamp())", [timezone])
        except Exception as error:
            if errors.is_unknown(error):
                raise ConfigurationError(f"Snowflake knows no time zone {timezone!r}: {error}") from None
            raise

    def _has_schema(self) -> bool:
        # An underscore stands for any character there.
        return any(str(row[1]) == self.schema for row in self._run("show schemas"))

    # Rows

    def read_state(self) -> StoredState:
        """Return the small tables and the revision, by one query."""
        rows = self._run(statements.read_state())
        found: dict[str | None, list[tuple[str | None, ...]]] = {}
        for name, *values in rows:
            found.setdefault(name, []).append(tuple(values))
        if not found.get(None):
            raise errors.build_altered_error(self.where, "TOGGL_COMMITS has no row")
        return StoredState(
            int(found[None][0][0] or 0),
            {name: self._checked(files.from_texts, table, found.get(name, [])) for name, table in STATE_TABLES.items()},
        )

    def read_rows(self, table: StoredTable, keys: pa.Array) -> pa.Table:
        """Return the stored rows with these keys, by one query; for more than ``MOST_LISTED_KEYS`` after an upload."""
        with tempfile.TemporaryDirectory() as folder:
            condition = self._condition(table, keys, "read", Path(folder))
            self._put(Path(folder))
        return self._read(table, condition)

    def read_workspace(self, table: StoredTable, workspace_id: int | None) -> pa.Table:
        """Return all stored rows of a workspace, or of all workspaces, by one query."""
        return self._read(table, statements.is_of(workspace_id))

    def commit(self, revision: int, changes: Sequence[TableChange]) -> None:
        """Store changes by one upload and one script.

        :raises CommitConflict: the store has another revision by now.
        """
        with tempfile.TemporaryDirectory() as folder:
            script = statements.commit(revision, [sql for one in changes for sql in self._change(one, Path(folder))])
            self._put(Path(folder))
        outcome = str(self._run(script)[0][0])
        if outcome == statements.CONFLICT:
            raise CommitConflict(self.where)
        if outcome != statements.COMMITTED:
            raise errors.ScriptFailed(outcome.removeprefix(statements.FAILED).strip())

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Return the result of a query; names of its columns are in lower case, lists are JSON texts."""
        return files.fix_types(self._table(to_format(sql) if parameters else sql, parameters))

    def translate(self, error: BaseException) -> WarehouseError | None:
        """Return an error of the connector as one of this package."""
        return errors.translate(self.where, error)

    def _change(self, change: TableChange, folder: Path) -> list[str]:
        """Return the statements of a change, and write its rows to files in a folder."""
        table, found = change.table, []
        if not table.key:
            found.append(statements.delete_rows(table))
        elif len(change.deleted):
            condition = self._condition(table, change.deleted, f"{table.name}_deleted", folder)
            found.append(statements.delete_rows(table, condition))
        if change.rows.num_rows:
            file = self._write(files.to_file(table, change.rows), table.name, folder)
            # Of rows of the state it is not known which are new.
            is_new = not table.key or (change.is_append and table.name not in STATE_TABLES)
            found.append(statements.insert_rows(table, file) if is_new else statements.merge_rows(table, file))
        return found

    def _condition(self, table: StoredTable, keys: pa.Array, name: str, folder: Path) -> str:
        """Return the condition that a row has one of some keys; many of them are written to a file in a folder."""
        if len(keys) <= MOST_LISTED_KEYS:
            return statements.is_listed(table, keys.to_pylist())
        return statements.is_staged(table, self._write(pa.table({statements.KEYS: keys}), name, folder))

    def _write(self, rows: pa.Table, name: str, folder: Path) -> str:
        """Write a file, and return how statements name it when it is uploaded."""
        pq.write_table(rows, folder / f"{name}.parquet")
        return f"@{self._make_stage()}/{name}.parquet"

    def _make_stage(self) -> str:
        """Return the session's stage; the first call creates it."""
        if not self._stage:
            name = f"TOGGL_LOAD_{secrets.token_hex(8).upper()}"
            self._run(f"create temporary stage {name} file_format = (type = parquet)")
            self._stage = name
        return self._stage

    def _put(self, folder: Path) -> None:
        if any(folder.iterdir()):
            self._run(statements.put_files(str(folder), self._stage))

    # Statements

    def _read(self, table: StoredTable, condition: str) -> pa.Table:
        found = self._table(statements.read_rows(table, condition))
        return self._checked(files.from_result, table, found)

    def _checked(self, convert: Callable[[StoredTable, Any], pa.Table], table: StoredTable, found: Any) -> pa.Table:
        """Return rows as a table has them; a column whose type somebody changed may not fit."""
        try:
            return convert(table, found)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise errors.build_altered_error(self.where, f"A column of {table.name.upper()} has another type") from None

    def _run(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with closing(self._open_connection.cursor()) as cursor:
            cursor.execute(sql, tuple(parameters) or None)
            return list(cursor.fetchall())

    def _table(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        with closing(self._open_connection.cursor()) as cursor:
            cursor.execute(sql, tuple(parameters) or None)
            try:
                found = cursor.fetch_arrow_all(force_return_table=True, force_microsecond_precision=True)
            except self._connection.NotSupportedError:
                # A statement such as SHOW, whose result never comes as Arrow.
                names = [column[0] for column in cursor.description]
                return build_table(names, [None] * len(names), [cursor.fetchall()])
            return found.rename_columns([column[0] for column in cursor.description])

    @property
    def _open_connection(self) -> Any:
        if self._connection is None:
            raise WarehouseError(f"{self.where} is not open.")
        return self._connection
