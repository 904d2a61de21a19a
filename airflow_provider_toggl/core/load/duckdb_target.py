"""DuckDB as the warehouse: one file, one writer at a time, one transaction a landing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from airflow_provider_toggl.core.clock import Clock, SystemClock, utc
from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.load import merge, migrations
from airflow_provider_toggl.core.load.duckdb_file import DuckdbFile, run, translated_errors
from airflow_provider_toggl.core.load.duckdb_session import DuckdbSession
from airflow_provider_toggl.core.load.queries import load_queries
from airflow_provider_toggl.core.load.session import Session
from airflow_provider_toggl.core.load.sql_target import SqlTarget


class DuckdbTarget(SqlTarget):
    """Lands in a DuckDB file.

    The file is opened at the first call and held for ``hold_seconds`` at least, over several calls, since opening and
    closing cost as much as landing thousands of rows; then the first call that ends gives it to whoever waits.

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
        super().__init__(clock or SystemClock())
        self._schema = schema
        self._hold_seconds = hold_seconds
        settings: dict[str, str | int | bool] = {
            "memory_limit": memory_limit,
            "threads": threads,
            "preserve_insertion_order": False,
            # Another session of this process may have set these for all.
            "default_order": "ASC",
            "default_null_order": "NULLS LAST",
            "default_collation": "",
            "integer_division": False,
            "ieee_floating_point_ops": True,
            # All that is used is built in; a warehouse must not depend on a download.
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "TimeZone": "UTC",
        }
        self._file = DuckdbFile(Path(path), lock_timeout, self._clock, settings)

    def find_version(self) -> int:
        """Return the version of the tables that are there, 0 where there are none; makes and changes nothing.

        :raises SchemaTooNew: a later version of this package made them.
        """
        if not self._file.path.exists():
            return 0
        connection = self._file.open()
        try:
            with translated_errors(self._file.path):
                if not run(connection, load_queries("duckdb")["find_schema"], [self._schema])[0][0]:
                    return 0
                run(connection, f"use {self._place(connection)}")
                version = self._find_version(connection)
        finally:
            self._file.close()
        migrations.check_version(version, str(self._file.path))
        return version

    def release(self, force: bool = False) -> None:
        """Let other processes at the file; the next call opens it again.

        :param force: give it back at once, also when it was not held for ``hold_seconds`` yet.
        """
        if force or self._file.held_seconds >= self._hold_seconds:
            self._file.close()

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

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
    def _reading(self) -> Iterator[Session]:
        with self._opened() as connection:
            yield DuckdbSession(connection)

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        with self._opened() as connection, _transaction_on(connection):
            yield DuckdbSession(connection)

    def _check_zone(self, session: Session, timezone: str) -> None:
        try:
            session.run(load_queries("duckdb")["check_timezone"], [timezone])
        except duckdb.Error:
            raise ConfigurationError(f"DuckDB knows no time zone {timezone!r}.") from None

    def _enter_schema(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Make our schema the current one, with tables and views of this version."""
        place = self._place(connection)
        run(connection, f"create schema if not exists {place}")
        run(connection, f"use {place}")
        version = self._find_version(connection)
        migrations.check_version(version, str(self._file.path))
        if version < len(migrations.MIGRATIONS):
            with _transaction_on(connection):
                migrations.apply_migrations(DuckdbSession(connection), version, utc(self._clock.now()))

    def _place(self, connection: duckdb.DuckDBPyConnection) -> str:
        """Return the name of our schema.

        Catalog and schema are both named, because a file ``toggl.duckdb`` is a catalog of the schema's own name.
        """
        catalog = run(connection, "select current_database()")[0][0]
        return f"{merge.quote(catalog)}.{merge.quote(self._schema)}"

    @staticmethod
    def _find_version(connection: duckdb.DuckDBPyConnection) -> int:
        if not run(connection, load_queries("duckdb")["find_tables"])[0][0]:
            return 0
        return run(connection, load_queries("tables")["find_version"])[0][0] or 0


@contextmanager
def _transaction_on(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    run(connection, "begin transaction")
    try:
        yield
    except BaseException:
        with suppress(duckdb.Error):
            run(connection, "rollback")
        raise
    run(connection, "commit")
