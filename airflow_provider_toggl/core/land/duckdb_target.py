"""DuckDB as the warehouse: one file, one writer at a time, one transaction a landing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import pyarrow as pa

from airflow_provider_toggl.core.clock import Clock, SystemClock, utc
from airflow_provider_toggl.core.errors import ConfigurationError, SchemaTooNew
from airflow_provider_toggl.core.land import merge
from airflow_provider_toggl.core.land.duckdb_file import DuckdbFile, run, translated_errors
from airflow_provider_toggl.core.land.duckdb_merge import (
    DIALECT,
    keep_rejected,
    merge_batches,
    store_progress,
    sweep_stream,
)
from airflow_provider_toggl.core.land.queries import load_queries
from airflow_provider_toggl.core.land.records import Batch
from airflow_provider_toggl.core.land.schemas import TABLES
from airflow_provider_toggl.core.land.target import Landed, Progress, Sweep, SyncState

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def _first_tables() -> list[str]:
    named, engine = load_queries("tables"), load_queries("duckdb")
    return [
        *(sql for name, sql in named.items() if name.startswith("create_")),
        *(merge.create_table(table, DIALECT) for table in TABLES.values()),
        *(sql for name, sql in engine.items() if name.startswith("create_")),
    ]


# The n-th brings tables of version n-1 to version n. Released ones never change; a view that changes is a new one.
MIGRATIONS = (_first_tables,)


class DuckdbTarget:
    """Lands in a DuckDB file.

    The file is opened at the first call and held for ``hold_seconds`` at least, over several calls, since opening and
    closing cost as much as landing thousands of rows; then the first call that ends gives it to whoever waits.
    Not for use by several threads at once; several objects, threads or processes each with their own take turns.

    :param path: the database file, made where there is none.
    :param schema: the schema of all tables and views.
    :param lock_timeout: seconds to wait for another process that has the file open.
    :param clock: time, as a seam.
    :param hold_seconds: how long to keep the file from others before giving it back at the end of a call.
    :param memory_limit: what DuckDB may use.
    :param threads: how many cores DuckDB may use.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        schema: str = "toggl",
        lock_timeout: float = 300.0,
        clock: Clock | None = None,
        hold_seconds: float = 2.0,
        memory_limit: str = "160MB",
        threads: int = 1,
    ) -> None:
        self._schema = schema
        self._clock = clock or SystemClock()
        self._hold_seconds = hold_seconds
        settings: dict[str, str | int | bool] = {
            "memory_limit": memory_limit,
            "threads": threads,
            "preserve_insertion_order": False,
            # All that is used is built in; a warehouse must not depend on a download.
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "TimeZone": "UTC",
        }
        self._file = DuckdbFile(Path(path), lock_timeout, self._clock, settings)

    def prepare(self, timezone: str | None = None) -> None:
        """Make or upgrade schema, tables and views.

        Every other method does so too when it opens the file; this one is for doing it early.

        :param timezone: IANA name of the zone of ``local_date`` in ``time_entry_facts``; None keeps what is set, which
            is UTC at first.
        :raises SchemaTooNew: a later version of this package made the tables.
        :raises ConfigurationError: there is no such zone.
        """
        if timezone is not None:
            self.set_timezone(timezone)
        else:
            with self._opened():
                pass

    def set_timezone(self, timezone: str) -> None:
        """Set the zone of ``local_date`` in ``time_entry_facts``.

        :param timezone: IANA name.
        :raises ConfigurationError: there is no such zone.
        """
        with self._opened() as connection:
            try:
                run(connection, load_queries("duckdb")["check_timezone"], [timezone])
            except duckdb.Error:
                raise ConfigurationError(
                    f"There is no time zone {timezone!r}. It must be an IANA name such as Europe/Berlin."
                ) from None
            run(connection, load_queries("landing")["upsert_setting"], ["timezone", timezone])

    def find_state(self, stream: str, scope: str) -> SyncState | None:
        """Return how far the stream has come in that scope, None when it was never landed."""
        with self._opened() as connection:
            rows = run(connection, load_queries("duckdb")["find_state"], [stream, scope])
        if not rows:
            return None
        watermark, cursor, last_run_at, requests_spent = rows[0]
        return SyncState(
            stream=stream,
            scope=scope,
            watermark=None if watermark is None else _instant(watermark),
            cursor=cursor,
            last_run_at=_instant(last_run_at),
            requests_spent=requests_spent,
        )

    def land(self, batches: Sequence[Batch], progress: Progress | None = None, sweep: Sweep | None = None) -> Landed:
        """Merge rows, keep rejected records, store progress and mark what is absent, in one transaction.

        :raises AbsenceRefused: the sweep would mark too many rows; nothing of this call is stored.
        :raises ConfigurationError: it cannot be told which stream the sweep is of.
        """
        swept = _swept_stream(batches, progress) if sweep else ""
        with self._transaction() as connection:
            streams = {batch.stream: [b for b in batches if b.stream == batch.stream] for batch in batches}
            parts = [merge_batches(connection, stream, group) for stream, group in streams.items()]
            keep_rejected(connection, [r for batch in batches for r in batch.rejected], utc(self._clock.now()))
            if progress is not None:
                store_progress(connection, progress)
            absent = sweep_stream(connection, swept, sweep) if sweep else 0
        return Landed(
            inserted=sum(part.inserted for part in parts),
            updated=sum(part.updated for part in parts),
            unchanged=sum(part.unchanged for part in parts),
            rejected=sum(part.rejected for part in parts),
            absent=absent,
        )

    def counts(self) -> dict[str, int]:
        """Return the number of rows in each stream's table, deleted and absent ones among them."""
        with self._opened() as connection:
            return {name: run(connection, merge.count_rows(table))[0][0] for name, table in TABLES.items()}

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Return what a query finds; names without a schema are looked up in this warehouse's.

        :param parameters: values for the query's ``?``.
        """
        with self._opened() as connection:
            return connection.sql(sql, params=list(parameters)).to_arrow_table()

    def release(self, force: bool = False) -> None:
        """Let other processes at the file; the next call opens it again.

        :param force: give it back at once, also when it was not held for ``hold_seconds`` yet.
        """
        if force or self._file.held_seconds >= self._hold_seconds:
            self._file.close()

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def __enter__(self) -> DuckdbTarget:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    @contextmanager
    def _opened(self) -> Iterator[duckdb.DuckDBPyConnection]:
        was_open = self._file.is_open
        connection = self._file.open()
        try:
            with translated_errors(self._file.path):
                if not was_open:
                    self._enter_schema(connection)
                yield connection
        except BaseException:
            self._file.close()
            raise
        self.release()

    @contextmanager
    def _transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._opened() as connection:
            run(connection, "begin transaction")
            try:
                yield connection
            except BaseException:
                with suppress(duckdb.Error):
                    run(connection, "rollback")
                raise
            run(connection, "commit")

    def _enter_schema(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Make our schema the current one, with tables and views of this version.

        Catalog and schema are both named, because a file ``toggl.duckdb`` is a catalog of the schema's own name.
        """
        catalog = run(connection, "select current_database()")[0][0]
        place = f"{merge.quote(catalog)}.{merge.quote(self._schema)}"
        run(connection, f"create schema if not exists {place}")
        run(connection, f"use {place}")
        version = self._find_version(connection)
        if version > len(MIGRATIONS):
            raise SchemaTooNew(
                f"The tables in {self._file.path} are of version {version}; this version of airflow-provider-toggl "
                f"knows {len(MIGRATIONS)}. Upgrade the package, or land into another schema."
            )
        for number, migration in enumerate(MIGRATIONS[version:], start=version + 1):
            self._migrate(connection, number, migration())

    @staticmethod
    def _find_version(connection: duckdb.DuckDBPyConnection) -> int:
        queries = load_queries("tables")
        if not run(connection, queries["find_tables"])[0][0]:
            return 0
        return run(connection, queries["find_version"])[0][0] or 0

    def _migrate(self, connection: duckdb.DuckDBPyConnection, number: int, statements: list[str]) -> None:
        run(connection, "begin transaction")
        try:
            for statement in statements:
                run(connection, statement)
            run(connection, load_queries("tables")["insert_version"], [number, utc(self._clock.now())])
        except BaseException:
            with suppress(duckdb.Error):
                run(connection, "rollback")
            raise
        run(connection, "commit")


def _swept_stream(batches: Sequence[Batch], progress: Progress | None) -> str:
    streams = {progress.stream} if progress else {batch.stream for batch in batches}
    if len(streams) != 1 or not streams <= TABLES.keys():
        raise ConfigurationError(
            f"A sweep is of one stream; here are {len(streams)}: {', '.join(sorted(streams)) or 'none'}."
        )
    return streams.pop()


def _instant(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
