"""A commit as the one row that is inserted for it, and the statements that compact commits."""

# ruff: noqa: S608 - the only names put into these statements are quoted ones of ``tables``
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from airflow_provider_toggl.core.load.engines.clickhouse.tables import COMMITS, COMPACTIONS, arrow_schema, stored
from airflow_provider_toggl.core.load.engines.clickhouse.views import COMPACTED, select_changes
from airflow_provider_toggl.core.load.engines.dialect import quote
from airflow_provider_toggl.core.load.engines.table_store.contract import TableChange
from airflow_provider_toggl.core.load.engines.table_store.tables import STORED_TABLES, StoredTable


def build_commit(revision: int, writer: str, read_at: pa.Scalar, changes: Sequence[TableChange]) -> pa.Table:
    """Return the row of a commit.

    :param revision: the new revision.
    :param writer: a name that only this commit has.
    :param read_at: when the state was read that the changes were computed from, by the server's clock.
    """
    columns: dict[str, pa.Array] = {
        "revision": pa.array([revision], pa.uint64()),
        "writer": pa.array([writer]),
        "read_at": pa.array([read_at]),
        "changed_rows": pa.array([sum(count_rows(change) for change in changes)], pa.uint64()),
    }
    for change in changes:
        rows = _rows_of(change)
        for name in rows.column_names:
            columns[f"{change.table.name}.{name}"] = _in_one_row(rows[name])
    return pa.table(columns)


def count_rows(change: TableChange) -> int:
    """Return how many rows a commit has for a change."""
    return int(change.rows.num_rows + len(change.deleted))


def encode(table: pa.Table) -> bytes:
    """Return a table as a compressed stream in Arrow's format."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def rows_of_tuples(column: pa.ChunkedArray, table: StoredTable) -> pa.Table:
    """Return the rows of a table that a query returned as one array of tuples."""
    schema = arrow_schema(table)
    tuples = column.combine_chunks().flatten()
    return pa.Table.from_arrays(tuples.flatten(), names=schema.names).cast(schema)


def compact(tables: Iterable[str], revision: int) -> Iterator[str]:
    """Yield the statements that copy the rows of commits into the tables of their own; each may run twice.

    :param tables: the tables that changed since the last compaction.
    :param revision: the last commit to copy.
    """
    last = f'(select max("revision") from {quote(COMPACTIONS)})'
    for table in map(STORED_TABLES.__getitem__, tables):
        names = ", ".join(quote(name) for name in (*arrow_schema(table).names, "is_deleted", "revision"))
        changes = select_changes(table, f'"revision" > {last} and "revision" <= {revision}')
        yield f"insert into {quote(stored(table))} ({names}) select {names} from ({changes})"
    # Last: a process that ends before leaves all commits in place.
    yield f'insert into {quote(COMPACTIONS)} ("revision") select {revision}'
    kept = '"revision", "writer", "committed_at", "changed_rows"'
    yield (
        f'insert into {quote(COMMITS)} ({kept}, "read_at", "is_empty") select {kept}, now64(6), 1 '
        f'from {quote(COMMITS)} where "is_empty" = 0 and "revision" <= {COMPACTED} '
        f'and "revision" not in (select "revision" from {quote(COMMITS)} where "is_empty" = 1)'
    )


def _rows_of(change: TableChange) -> pa.Table:
    schema = arrow_schema(change.table)
    rows = change.rows.select(schema.names).cast(schema)
    deleted = len(change.deleted)
    if deleted:
        key = change.table.key[0]
        gone: dict[str, Any] = {f.name: pa.nulls(deleted, f.type) for f in schema} | {key: change.deleted}
        rows = pa.concat_tables([rows, pa.table(gone).cast(schema)])
    marks = [0] * change.rows.num_rows + [1] * deleted
    return rows.append_column("is_deleted", pa.array(marks, pa.uint8()))


def _in_one_row(column: pa.ChunkedArray) -> pa.Array:
    values = column.combine_chunks()
    if isinstance(values, pa.ChunkedArray):
        values = pa.concat_arrays(values.chunks)
    return pa.LargeListArray.from_arrays(pa.array([0, len(values)], pa.int64()), values)
