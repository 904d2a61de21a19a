"""Engines behind DB-API drivers: batches of inserts into a staging table, and the same merge."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from airflow_provider_toggl.core.databases import faults
from airflow_provider_toggl.core.databases.faults import first_line
from airflow_provider_toggl.core.databases.statements import to_format
from airflow_provider_toggl.core.errors import DatabaseFault, WarehouseError
from airflow_provider_toggl.core.load.engines.arrow_rows import (
    CHUNK,
    NUL,
    NUL_SIGN,
    build_table,
    fix_column_type,
    plain_rows,
    plain_value,
    texts_without_nul,
)
from airflow_provider_toggl.core.load.engines.contract import Engine
from airflow_provider_toggl.core.load.merging import rule
from airflow_provider_toggl.core.load.tables.schemas import TableSchema
from airflow_provider_toggl.core.load.tables.state import STATEMENTS

BATCH_ROWS = 1_000
BATCH_BYTES = 2 * 2**20
"""An insert of so many rows or bytes is fast on each engine."""


@dataclass(frozen=True)
class DbApi:
    """How a database is reached.

    :param connect: opens a connection of a driver that follows PEP 249.
    :param placeholder: ``?`` or ``%s``, as the driver writes parameters.
    :param where: how errors name the database; contains no secret.
    """

    connect: Callable[[], Any]
    placeholder: str
    where: str


class DbApiEngine(Engine):
    """Loads into a schema of a database that a DB-API driver reaches. Subclasses know the engine.

    :param api: how the database is reached.
    :param schema: the schema of all tables and views: a database in MySQL; SQLite has one schema a file.
    :param lock_timeout: seconds to wait for another process that writes.
    """

    advice: Mapping[DatabaseFault, str] = MappingProxyType({})
    """What to do about faults, where ``faults.ADVICE`` does not fit."""

    def __init__(self, api: DbApi, *, schema: str = "toggl", lock_timeout: float = 300.0) -> None:
        super().__init__(schema, api.where, lock_timeout)
        self._api = api
        self._connection: Any = None

    @property
    def connection(self) -> Any:
        """The open connection."""
        return self._connection

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._connection is not None

    def open(self) -> None:
        """Connect and configure the connection."""
        self._connection = self._api.connect()
        self.configure()

    @abstractmethod
    def configure(self) -> None:
        """Configure the new connection, and make the schema current where it exists."""

    def is_alive(self) -> bool:
        """Return whether the connection can be used, by reading the version of the tables."""
        try:
            self.run(STATEMENTS["find_version"])
            self.commit(writing=False)
        except Exception as error:
            if not is_driver_error(error):
                raise
            return False
        return True

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    def commit(self, *, writing: bool) -> None:
        """Commit the transaction, also after reading, since the driver may have begun one."""
        self.connection.commit()

    def rollback(self) -> None:
        """Roll the transaction back."""
        self.connection.rollback()

    @abstractmethod
    def find_fault(self, error: Exception) -> DatabaseFault:
        """Return what a driver's error means."""

    def translate(self, error: BaseException) -> WarehouseError | None:
        """Return a driver's error as one of this package."""
        if not isinstance(error, Exception) or not is_driver_error(error):
            return None
        fault = self.find_fault(error)
        advice = self.advice.get(fault) or faults.ADVICE.get(fault, "")
        is_collision = faults.find_mysql_number(error) in faults.COLLISIONS
        return self.build_error(fault, f"{self.where}: {first_line(error)}", advice, is_collision=is_collision)

    # Statements

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement to its end and return its rows."""
        with closing(self.connection.cursor()) as cursor:
            cursor.execute(self._sql(sql), self._plain(parameters))
            return list(cursor.fetchall()) if cursor.description else []

    def run_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement for each row of parameters."""
        with closing(self.connection.cursor()) as cursor:
            for group in self._small_groups(rows):
                cursor.executemany(self._sql(sql), [self._plain(row) for row in group])

    def table(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Return the result of a query, read from the driver in chunks."""
        with closing(self.connection.cursor()) as cursor:
            cursor.execute(self._sql(sql), self._plain(parameters))
            names = [column[0] for column in cursor.description or ()]
            return build_table(names, [None] * len(names), _chunks(cursor), fix_column_type)

    # Rows

    @property
    def rejected_limit(self) -> int:
        """Characters kept of a rejected record."""
        limit = self.dialect.rejected_limit
        # A character has four bytes at most, and escaping can double them.
        return limit if self.row_limit is None else min(limit, self.row_limit // 9)

    @property
    def _batch_bytes(self) -> int:
        # Escaping can double a text, and what is written around the values needs space too.
        return BATCH_BYTES if self.row_limit is None else min(BATCH_BYTES, self.row_limit // 4)

    def insert(self, table: TableSchema, rows: pa.Table) -> None:
        """Insert rows of which no key is stored."""
        self._insert(rule.insert_values(table), rows)

    def stage(self, table: TableSchema, rows: pa.Table) -> None:
        """Insert rows into a temporary table."""
        self.run(rule.create_incoming(table, self.dialect))
        self._insert(rule.insert_values(TableSchema(rule.INCOMING, table.columns)), rows)

    def unstage(self) -> None:
        """Remove the staged rows."""
        self.run(self.dialect.drop_temporary.format(rule.INCOMING))

    def _insert(self, sql: str, rows: pa.Table) -> None:
        with closing(self.connection.cursor()) as cursor:
            for batch in split_rows(rows if self.dialect.has_nul else texts_without_nul(rows), self._batch_bytes):
                for group in plain_rows(batch, self.dialect.instants, self.dialect.has_booleans):
                    cursor.executemany(self._sql(sql), group)

    def _small_groups(self, rows: Sequence[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
        """Yield rows in groups that a driver can make one statement of."""
        group: list[Sequence[Any]] = []
        size = 0
        for row in rows:
            row_size = sum(4 * len(value) if isinstance(value, str) else 32 for value in row)
            if group and size + row_size > self._batch_bytes:
                yield group
                group, size = [], 0
            group.append(row)
            size += row_size
        if group:
            yield group

    def _sql(self, sql: str) -> str:
        if self._api.placeholder == "?":
            return sql
        # The only driver that takes %s and reads a doubled % as two.
        doubles = not type(self.connection).__module__.startswith("mysql.connector")
        return to_format(sql, doubles)

    def _plain(self, parameters: Sequence[Any]) -> tuple[Any, ...]:
        plain = tuple(plain_value(value, self.dialect.instants) for value in parameters)
        if self.dialect.has_nul:
            return plain
        return tuple(value.replace(NUL, NUL_SIGN) if isinstance(value, str) else value for value in plain)


def split_rows(rows: pa.Table, most_bytes: int) -> Iterator[pa.Table]:
    """Yield rows in batches of at most ``BATCH_ROWS`` rows, and of so many bytes unless one row has more."""
    for begin in range(0, rows.num_rows, BATCH_ROWS):
        yield from _halved(rows.slice(begin, BATCH_ROWS), most_bytes)


def _halved(rows: pa.Table, most_bytes: int) -> Iterator[pa.Table]:
    if rows.num_rows > 1 and rows.nbytes > most_bytes:
        half = rows.num_rows // 2
        yield from _halved(rows.slice(0, half), most_bytes)
        yield from _halved(rows.slice(half), most_bytes)
    else:
        yield rows


def _chunks(cursor: Any) -> Iterator[list[tuple[Any, ...]]]:
    while rows := cursor.fetchmany(CHUNK):
        yield [tuple(_text(value) for value in row) for row in rows]


def _text(value: Any) -> Any:
    """Return bytes as text: some drivers return texts of a binary collation as bytes."""
    return bytes(value).decode(errors="replace") if isinstance(value, (bytes, bytearray)) else value


def is_driver_error(error: BaseException) -> bool:
    """Return whether an error is one that PEP 249 defines for drivers; each driver has its own class ``Error``."""
    return any(kind.__name__ == "Error" for kind in type(error).__mro__)
