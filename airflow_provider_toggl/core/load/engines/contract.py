"""What an engine must do so that a :class:`~airflow_provider_toggl.core.load.warehouse.Warehouse` can load into it.

Most new databases keep tables only and implement ``table_store.contract`` instead. docs/recipes.md says step by step
how to add one. The suite ``tests/core/load/contracts`` runs on every engine and says when it is done.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_toggl.core.databases import faults
from airflow_provider_toggl.core.errors import DatabaseFault, WarehouseError, WarehouseLocked, WarehouseReadOnly
from airflow_provider_toggl.core.load.merging import rule

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_provider_toggl.core.load.engines.dialect import Dialect
    from airflow_provider_toggl.core.load.tables.schemas import TableSchema

CONTINUES = "Nothing was lost: what was loaded before is there, and the next run continues from it."

_KEYS_IN_A_LIST = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Session(ABC):
    """An open transaction in the warehouse, with its schema as the current one.

    SQL has ``?`` for parameters and double quotes around identifiers; datetimes among parameters are aware.
    """

    dialect: Dialect
    has_current_tables = False
    """Whether ``make_schema`` brings tables to the current version, so that migrations only record it."""
    row_limit: int | None = None
    """Bytes that a statement with the values of one row may have, None without a limit; known when it is open."""

    @property
    def rejected_limit(self) -> int:
        """Characters kept of a rejected record."""
        return self.dialect.rejected_limit

    @abstractmethod
    def run(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement to its end and return its rows, none for a statement that has none."""

    @abstractmethod
    def run_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement for each row of parameters."""

    @abstractmethod
    def table(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Return the result of a query; instants as ``timestamp('us', 'UTC')``."""

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Return the result of a query of all that was stored before this transaction, as :meth:`table` does."""
        return self.table(sql, parameters)

    def fetch_keys(self, table: str, keys: Sequence[Any]) -> None:  # noqa: B027 - most engines find all rows
        """Let statements find the stored rows with some keys; nothing to do where they find all rows."""

    def fetch_workspace(self, table: str, workspace_id: int | None) -> None:  # noqa: B027 - most engines find all rows
        """Let statements find the stored rows of a workspace, or of all; nothing to do where they find all rows."""

    def has_stored(self, table: TableSchema, keys: Sequence[int]) -> bool:
        """Return whether one of some keys is stored."""
        # New entries have greater ids than all earlier ones: then two reads of the index are enough.
        if not self.run(rule.find_between(table), [min(keys), max(keys)]):
            return False
        parts = (keys[begin : begin + _KEYS_IN_A_LIST] for begin in range(0, len(keys), _KEYS_IN_A_LIST))
        return any(self.run(rule.find_keys(table, part)) for part in parts)

    def insert(self, table: TableSchema, rows: pa.Table) -> None:
        """Insert rows of which no key is stored."""
        self.stage(table, rows)
        try:
            self.run(rule.insert_new(table, self.dialect))
        finally:
            self.unstage()

    @abstractmethod
    def stage(self, table: TableSchema, rows: pa.Table) -> None:
        """Make rows available to statements as the table ``rule.INCOMING``."""

    @abstractmethod
    def unstage(self) -> None:
        """Remove the staged rows."""


class Engine(Session):
    """One database: how to connect, take turns at writing, and run statements.

    Methods let the driver's errors through; the warehouse translates them. After an error it closes the connection and
    opens a new one at the next call.

    :param schema: the schema of all tables and views.
    :param where: how errors name the database; contains no secret.
    :param lock_timeout: seconds to wait for another process that writes.
    """

    has_lock_without_tables = True
    """Whether :meth:`begin` can serialize writers before the tables exist."""

    rolls_back_writes = True
    """Whether statements reach the database before the transaction ends, so that rolling them back proves rights."""

    runs_own_statements = True
    """Whether other statements than this package's can run in a transaction, and find all rows."""

    def __init__(self, schema: str, where: str, lock_timeout: float) -> None:
        self.schema = schema
        self.where = where
        self.lock_timeout = lock_timeout

    # The connection

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """Whether there is a connection."""

    def exists(self) -> bool:
        """Return whether there is a database to connect to, without creating one."""
        return True

    @abstractmethod
    def open(self) -> None:
        """Connect, configure the connection, and make the schema current where it exists."""

    def is_alive(self) -> bool:
        """Return whether the open connection can still be used."""
        return True

    def release(self, force: bool) -> None:
        """Close the connection if that lets other processes write.

        :param force: close it in any case.
        """
        if force:
            self.close()

    @abstractmethod
    def close(self) -> None:
        """Close the connection; without one, do nothing."""

    # Transactions

    @contextmanager
    def transaction(self, *, writing: bool = False) -> Iterator[Session]:
        """Begin a transaction; commit it at the end, or roll it back on an error.

        :param writing: wait until no other process writes, and keep others from writing until the end.
        """
        self.begin(writing=writing)
        try:
            yield self
        except BaseException:
            with suppress(Exception):
                self.rollback()
            raise
        self.commit(writing=writing)

    @abstractmethod
    def begin(self, *, writing: bool) -> None:
        """Begin a transaction; wait for other writers if it is to write."""

    @abstractmethod
    def commit(self, *, writing: bool) -> None:
        """Commit the transaction and let the next writer continue."""

    @abstractmethod
    def rollback(self) -> None:
        """Roll the transaction back."""

    # The schema

    @abstractmethod
    def has_tables(self) -> bool:
        """Return whether the schema has our tables."""

    @abstractmethod
    def make_schema(self) -> None:
        """Create the schema if it does not exist, and make it current."""

    def check_schema(self) -> None:
        """Refuse tables that belong to another schema.

        :raises ConfigurationError: they do.
        """

    def check_zone(self, timezone: str) -> None:
        """Refuse a time zone that the engine does not know.

        :raises ConfigurationError: it does not know it.
        """

    # The server

    def find_unencodable(self, characters: str) -> str:
        """Return those of some characters that the database's encoding cannot hold."""
        return ""

    def find_holders(self) -> list[str]:
        """Return descriptions of the sessions that write now, where the engine can list them.

        Needs no open connection.
        """
        return []

    def read_clock(self) -> float | None:
        """Return the server's time in seconds since the epoch, None without a server.

        Needs no open connection.
        """
        return None

    # Errors

    @abstractmethod
    def translate(self, error: BaseException) -> WarehouseError | None:
        """Return a driver's error as one of this package, None for an error that is not a driver's."""

    def build_error(
        self, fault: DatabaseFault, words: str, advice: str, *, is_collision: bool = False
    ) -> WarehouseError:
        """Return the error for a fault: what happened, and what to do.

        :param words: what happened, with where.
        :param advice: what to do.
        :param is_collision: two transactions blocked each other, so that no time would have been long enough.
        """
        if fault is DatabaseFault.LOCKED and is_collision:
            return WarehouseLocked(f"{words} {faults.COLLIDED} {CONTINUES}", fault=fault)
        if fault is DatabaseFault.LOCKED:
            return WarehouseLocked(
                f"{words} Another load or session locked it for more than {self.lock_timeout:g} s; wait longer "
                f"(warehouse_lock_timeout) or end that session. {CONTINUES}",
                fault=fault,
            )
        if fault in (DatabaseFault.READ_ONLY, DatabaseFault.MISSING_RIGHT):
            return WarehouseReadOnly(f"{words} {advice}", fault=fault)
        end = CONTINUES if fault in (DatabaseFault.UNREACHABLE, DatabaseFault.CONNECTION_LOST) else ""
        return WarehouseError(" ".join(part for part in (words, advice, end) if part), fault=fault)


def instants_of(column: pa.ChunkedArray) -> list[datetime | None]:
    """Return a column of instants as aware datetimes. Arrow's own conversion needs a library of time zones."""
    micros = column.cast("timestamp[us]").cast("int64").to_pylist()
    return [None if value is None else _EPOCH + timedelta(microseconds=value) for value in micros]
