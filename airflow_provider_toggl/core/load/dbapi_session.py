"""An open transaction on a DB-API connection, as the steps of a landing use it; rows come in by batches of inserts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_toggl.core.load import merge
from airflow_provider_toggl.core.load.arrow_rows import (
    CHUNK,
    NUL,
    NUL_SIGN,
    build_table,
    mend_column,
    plain_rows,
    plain_value,
    texts_without_nul,
)
from airflow_provider_toggl.core.load.dialects import Dialect
from airflow_provider_toggl.core.load.placeholders import to_format
from airflow_provider_toggl.core.load.schemas import KEY, TableSchema

BATCH_ROWS = 1_000
BATCH_BYTES = 2 * 2**20
"""An insert of so many rows or bytes is fast on each engine."""

_KEYS_IN_A_LIST = 1_000


class DbApiSession:
    """Runs statements on a connection.

    :param connection: of a driver that follows PEP 249.
    :param placeholder: ``?`` or ``%s``, as the driver writes parameters.
    :param statement_bytes: the longest statement that the server takes, None where there is no such limit.
    """

    def __init__(self, connection: Any, placeholder: str, dialect: Dialect, statement_bytes: int | None = None) -> None:
        self._connection = connection
        # Escaping can double a text, and what is written around the values takes room too.
        self._batch_bytes = BATCH_BYTES if statement_bytes is None else min(BATCH_BYTES, statement_bytes // 4)
        self._statement_bytes = statement_bytes
        self._is_format = placeholder != "?"
        # The only driver that knows %s and takes a doubled % for two.
        self._doubles = not type(connection).__module__.startswith("mysql.connector")
        self._dialect = dialect

    @property
    def dialect(self) -> Dialect:
        """The engine's words."""
        return self._dialect

    @property
    def longest_text(self) -> int:
        """How many characters of a rejected record are kept."""
        limit = self._dialect.raw_limit
        # A character has four bytes at most, and escaping can double them.
        return limit if self._statement_bytes is None else min(limit, self._statement_bytes // 9)

    @property
    def longest_row(self) -> int | None:
        """How many bytes a statement with the values of one row may have."""
        return self._statement_bytes

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement to its end and return its rows."""
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(self._sql(sql), self._plain(parameters))
            return list(cursor.fetchall()) if cursor.description else []

    def run_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement for each row of parameters."""
        with closing(self._connection.cursor()) as cursor:
            for some in self._small(rows):
                cursor.executemany(self._sql(sql), [self._plain(row) for row in some])

    def table(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Return what a query finds, read from the driver in pieces."""
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(self._sql(sql), self._plain(parameters))
            names = [column[0] for column in cursor.description or ()]
            return build_table(names, [None] * len(names), _pieces(cursor), mend_column)

    def count_stored(self, table: TableSchema, rows: pa.Table) -> int:
        """Return how many stored rows have a key of the given rows."""
        # New entries have greater ids than all before them: then two looks into the index tell it.
        if not self.run(merge.find_between(table), list(pc.min_max(rows[KEY]).as_py().values())):
            return 0
        keys, found = rows[KEY].to_pylist(), 0
        for begin in range(0, len(keys), _KEYS_IN_A_LIST):
            some = ", ".join(map(str, keys[begin : begin + _KEYS_IN_A_LIST]))
            found += int(self.run(f"{merge.count_rows(table)} where {merge.quote(KEY)} in ({some})")[0][0])
        return found

    def insert(self, table: TableSchema, rows: pa.Table) -> None:
        """Put rows in that have no rivals."""
        self._insert(merge.insert_values(table), rows)

    def stage(self, table: TableSchema, rows: pa.Table) -> None:
        """Make rows known as ``merge.INCOMING``."""
        self.run(merge.create_incoming(table, self._dialect))
        self._insert(merge.insert_values(TableSchema(merge.INCOMING, table.columns)), rows)

    def unstage(self) -> None:
        """Forget what was staged."""
        self.run(self._dialect.drop.format(merge.INCOMING))

    def _small(self, rows: Sequence[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
        """Yield rows in groups that a driver can make one statement of."""
        some: list[Sequence[Any]] = []
        size = 0
        for row in rows:
            row_size = sum(4 * len(value) if isinstance(value, str) else 32 for value in row)
            if some and size + row_size > self._batch_bytes:
                yield some
                some, size = [], 0
            some.append(row)
            size += row_size
        if some:
            yield some

    def _insert(self, sql: str, rows: pa.Table) -> None:
        with closing(self._connection.cursor()) as cursor:
            for batch in batches(rows if self._dialect.has_nul else texts_without_nul(rows), self._batch_bytes):
                for some in plain_rows(batch, self._dialect.instants, self._dialect.has_booleans):
                    cursor.executemany(self._sql(sql), some)

    def _sql(self, sql: str) -> str:
        return to_format(sql, self._doubles) if self._is_format else sql

    def _plain(self, parameters: Sequence[Any]) -> tuple[Any, ...]:
        plain = tuple(plain_value(value, self._dialect.instants) for value in parameters)
        if self._dialect.has_nul:
            return plain
        return tuple(value.replace(NUL, NUL_SIGN) if isinstance(value, str) else value for value in plain)


def batches(rows: pa.Table, most_bytes: int | None = None) -> Iterator[pa.Table]:
    """Yield rows in batches that an insert may have."""
    most_bytes = most_bytes or BATCH_BYTES
    for begin in range(0, rows.num_rows, BATCH_ROWS):
        yield from _halved(rows.slice(begin, BATCH_ROWS), most_bytes)


def _halved(rows: pa.Table, most_bytes: int) -> Iterator[pa.Table]:
    if rows.num_rows > 1 and rows.nbytes > most_bytes:
        half = rows.num_rows // 2
        yield from _halved(rows.slice(0, half), most_bytes)
        yield from _halved(rows.slice(half), most_bytes)
    else:
        yield rows


def _pieces(cursor: Any) -> Iterator[list[tuple[Any, ...]]]:
    while rows := cursor.fetchmany(CHUNK):
        yield [tuple(_text(value) for value in row) for row in rows]


def _text(value: Any) -> Any:
    """Return bytes as the text that they are: some drivers take texts of a binary collation for bytes."""
    return bytes(value).decode(errors="replace") if isinstance(value, (bytes, bytearray)) else value
