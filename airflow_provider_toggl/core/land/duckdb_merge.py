"""The steps of one landing on an open DuckDB transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from airflow_provider_toggl.core.errors import AbsenceRefused
from airflow_provider_toggl.core.land import merge
from airflow_provider_toggl.core.land.columns import INSTANT
from airflow_provider_toggl.core.land.duckdb_file import run
from airflow_provider_toggl.core.land.queries import load_queries
from airflow_provider_toggl.core.land.records import Batch, Rejected
from airflow_provider_toggl.core.land.schemas import TABLES, TableSchema
from airflow_provider_toggl.core.land.target import Landed, Progress, Sweep

DIALECT = merge.Dialect(
    types={
        "bigint": "bigint",
        "boolean": "boolean",
        "text": "varchar",
        "double": "double",
        "timestamp": "timestamp with time zone",
        "date": "date",
        "bigint_list": "bigint[]",
        "json": "json",
    },
    epoch="epoch_us({0})",
)
_REJECTED = pa.schema(
    [
        *(pa.field(name, pa.string()) for name in ("id", "stream")),
        pa.field("workspace_id", pa.int64()),
        *(pa.field(name, pa.string()) for name in ("raw", "reason")),
        *(pa.field(name, INSTANT) for name in ("observed_at", "landed_at")),
    ]
)


def merge_batches(connection: duckdb.DuckDBPyConnection, stream: str, batches: Sequence[Batch]) -> Landed:
    """Merge all batches of one stream at once, which costs a third of merging them one by one."""
    table = TABLES[stream]
    rows = pa.concat_tables([batch.table for batch in batches])
    rejected = sum(len(batch.rejected) for batch in batches)
    if not rows.num_rows:
        return Landed(rejected=rejected)
    connection.register(merge.INCOMING, rows)
    try:
        ((keys, stored),) = run(connection, merge.count_incoming(table))
        if keys == rows.num_rows and not stored:
            run(connection, merge.insert_new(table, DIALECT))
            inserted, updated = rows.num_rows, 0
        else:
            inserted, updated = _merge_with_stored(connection, table, is_unique=keys == rows.num_rows)
        if run(connection, load_queries("landing")["find_complete_list"], [stream])[0][0]:
            run(connection, merge.mark_absent(table, only_incoming=True), [stream])
    finally:
        connection.unregister(merge.INCOMING)
    return Landed(inserted, updated, rows.num_rows - inserted - updated, rejected)


def _merge_with_stored(connection: duckdb.DuckDBPyConnection, table: TableSchema, is_unique: bool) -> tuple[int, int]:
    source = merge.INCOMING
    if not is_unique:
        run(connection, merge.pick_unique(table, DIALECT))
        source = merge.UNIQUE
    run(connection, merge.copy_stored(table, source))
    run(connection, merge.merge_with_stored(table, DIALECT, source))
    # Out and in again: a tenth of the time that DuckDB takes to update rows that have a list in them.
    ((inserted, updated),) = run(connection, merge.count_merged())
    run(connection, merge.delete_merged(table))
    run(connection, merge.insert_merged(table))
    for name in merge.TEMPORARY:
        run(connection, merge.drop_temporary(name))
    return inserted, updated


def keep_rejected(connection: duckdb.DuckDBPyConnection, records: Iterable[Rejected], landed_at: datetime) -> None:
    """Keep each rejected record once, however often it comes."""
    rows: dict[str, dict[str, Any]] = {}
    for record in sorted(records, key=lambda record: record.observed_at):
        text = f"{record.stream}\n{record.workspace_id}\n{record.raw}"
        key = hashlib.sha256(text.encode(errors="replace")).hexdigest()
        rows[key] = {"id": key, "landed_at": landed_at, **vars(record)}
    if not rows:
        return
    connection.register(merge.INCOMING, pa.Table.from_pylist(list(rows.values()), schema=_REJECTED))
    try:
        run(connection, load_queries("landing")["upsert_rejected"])
    finally:
        connection.unregister(merge.INCOMING)


def store_progress(connection: duckdb.DuckDBPyConnection, progress: Progress) -> None:
    """Store how far the stream has come, beside its rows."""
    run(
        connection,
        load_queries("landing")["upsert_state"],
        [
            progress.stream,
            progress.scope,
            progress.watermark,
            progress.cursor,
            progress.ran_at,
            progress.requests_spent,
        ],
    )


def sweep_stream(connection: duckdb.DuckDBPyConnection, stream: str, sweep: Sweep) -> int:
    """Mark what a complete list had not, and return how many live rows that takes.

    :raises AbsenceRefused: they are too many to be believed.
    """
    table = TABLES[stream]
    ((live, vanishing),) = run(connection, merge.count_live(table), [sweep.complete_at, sweep.workspace_id])
    if vanishing > sweep.limit_rows and vanishing > sweep.limit_share * live:
        raise AbsenceRefused(
            f"The complete list of {stream} in workspace {sweep.workspace_id} lacks {vanishing} of {live} live rows "
            f"({vanishing / live:.0%}), more than limit_rows={sweep.limit_rows} and "
            f"limit_share={sweep.limit_share:.0%} allow. Nothing of it was landed. If they were really deleted, "
            "run once with a greater limit_share."
        )
    run(connection, load_queries("landing")["upsert_complete_list"], [stream, sweep.workspace_id, sweep.complete_at])
    run(connection, merge.mark_absent(table), [stream])
    return int(vanishing)
