"""The warehouse: tables in a database that record batches are merged into, each load in one transaction.

``engines`` has the databases; ``hooks.warehouse`` chooses one by the type of the connection.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_toggl.core.clock import Clock, SystemClock, utc
from airflow_provider_toggl.core.errors import ConfigurationError, DatabaseFault, WarehouseError
from airflow_provider_toggl.core.load.engines.table_store.contract import CommitConflict
from airflow_provider_toggl.core.load.merging import changed_days, rule
from airflow_provider_toggl.core.load.tables import migrations, state
from airflow_provider_toggl.core.load.tables.schemas import TABLES
from airflow_provider_toggl.core.load.values import MOST_CHANGED_IDS, LoadResult, Progress, Sweep

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_provider_toggl.core.load.decode.records import RecordBatch
    from airflow_provider_toggl.core.load.engines.contract import Engine, Session

__all__ = ["MOST_CHANGED_IDS", "LoadResult", "Progress", "Sweep", "Warehouse"]

log = logging.getLogger(__name__)

FIRST_PAUSE, MAX_PAUSE = 0.1, 5.0
"""Seconds between two tries of a transaction after another process committed first."""

T = TypeVar("T")

# Imported in the methods that need them: pyarrow is slow to import, and every operator imports this module.


class _RolledBack(Exception):
    """Ends a transaction so that nothing of it is stored."""


class Warehouse(AbstractContextManager["Warehouse"]):
    """Loads record batches into the tables of one schema, and reads them back.

    The connection is opened at the first call, again where the server has ended it, and brings tables of an older
    version to the current one. Not for use by several threads at once; several objects, threads or processes, each with
    their own, take turns at writing. Every method may wait for others, and raises ``WarehouseError``.

    :param engine: the database.
    :param clock: the clock, replaced in tests.
    """

    def __init__(self, engine: Engine, clock: Clock | None = None) -> None:
        self._engine = engine
        self._clock = clock or SystemClock()

    def prepare(self, timezone: str | None = None) -> None:
        """Create or upgrade schema, tables and views; costs one query if there is nothing to do.

        Every other method does so too when it opens the warehouse; this one is for doing it early.

        :param timezone: as for :meth:`set_timezone`; None leaves it as it is, which is UTC at first.
        :raises SchemaTooNew: a later version of this package created the tables.
        """
        if timezone is not None:
            self.set_timezone(timezone)
        else:
            with self.transaction(writing=False):
                pass

    def set_timezone(self, timezone: str) -> None:
        """Set the zone of ``local_date`` in ``time_entry_facts``; costs one query if there is nothing to do.

        :param timezone: IANA name.
        :raises ConfigurationError: there is no such zone, or the engine does not know it.
        """
        from airflow_provider_toggl.core.load.tables import zones  # noqa: PLC0415 - see above

        zones.get_zone(timezone)
        with self.transaction(writing=False) as session:
            if state.find_setting(session, "timezone", "") == timezone:
                return

        def store(session: Session) -> None:
            before = changed_days.find_fact_days(session)
            if session.dialect.has_zones:
                self._engine.check_zone(timezone)
            else:
                zones.store_offsets(session, timezone)
            state.store_setting(session, "timezone", timezone)
            now = utc(self._clock.now())
            changed_days.record_days(session, before | changed_days.find_fact_days(session), now)

        self.run_transaction(store)

    def keep_history(self, kept: bool) -> None:
        """Keep every observed version of a time entry from now on, or stop; what is kept already stays.

        Applies to all who load into this warehouse. Costs one query if there is nothing to do.

        :param kept: True begins with the entries as they are stored.
        """
        from airflow_provider_toggl.core.load.merging import history  # noqa: PLC0415 - see above

        with self.transaction(writing=False) as session:
            if history.is_kept(session) == kept:
                return
        self.run_transaction(lambda session: history.set_kept(session, kept))

    def find_state(self, stream: str, scope: str) -> Progress | None:
        """Return how far the stream is loaded in that scope, None if it was never loaded."""
        with self.transaction(writing=False) as session:
            return state.find_state(session, stream, scope)

    def last_runs(self) -> list[tuple[str, datetime]]:
        """Return each stream that was ever loaded, with the time of its last run."""
        with self.transaction(writing=False) as session:
            return state.list_last_runs(session)

    def load(
        self,
        batches: Sequence[RecordBatch],
        progress: Progress | None = None,
        sweep: Sweep | None = None,
        *,
        collect_days: bool = False,
    ) -> LoadResult:
        """Merge rows, store rejected records and progress, and mark what is absent, in one transaction.

        A row that the database cannot hold, for a character that its encoding lacks or for its size, is rejected. The
        sweep is left out then, since it is not known whether that row is there or missing.

        :param collect_days: return the changed days and ids of time entries.
        :raises AbsenceRefused: the sweep would mark too many rows; nothing of this call is stored.
        :raises ConfigurationError: the sweep is not of exactly one stream.
        """
        from airflow_provider_toggl.core.load.merging import unstorable  # noqa: PLC0415 - see above

        listed = (_swept_stream(batches, progress), sweep) if sweep else None
        try:
            result = self._load(batches, progress, listed)
        except WarehouseError as error:
            if error.fault is not DatabaseFault.UNENCODABLE:
                raise
            with self.transaction(writing=False):
                lost = self._engine.find_unencodable(unstorable.characters_of(batches))
            if not lost:
                raise
            log.warning("%s Rows with such characters are stored in rejected_records.", error)
            fitting = unstorable.reject_unencodable_rows(batches, lost)
            result = self._load(fitting, progress, listed if _count(fitting) == _count(batches) else None)
        return result if collect_days else replace(result, changed_days=frozenset(), changed_ids=())

    def _load(
        self, batches: Sequence[RecordBatch], progress: Progress | None, sweep: tuple[str, Sweep] | None
    ) -> LoadResult:
        from airflow_provider_toggl.core.load.merging import steps, unstorable  # noqa: PLC0415 - see above

        def load(session: Session) -> LoadResult:
            fitting = unstorable.reject_long_rows(batches, session.dialect.text_limit, session.row_limit)
            listed = sweep if _count(fitting) == _count(batches) else None
            return steps.load_batches(session, fitting, progress, listed, utc(self._clock.now()))

        return self.run_transaction(load)

    def run_transaction(self, work: Callable[[Session], T]) -> T:
        """Return the result of work in a writing transaction, which is repeated while others commit first.

        :raises CommitConflict: others did so for longer than the engine's ``lock_timeout``.
        """
        pause, end = FIRST_PAUSE, self._clock.now() + self._engine.lock_timeout
        while True:
            try:
                with self.transaction() as session:
                    return work(session)
            except CommitConflict:
                if self._clock.now() >= end:
                    raise
            # Different for each process, so that two of them do not meet again and again.
            self._clock.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - not for security
            pause = min(pause * 2, MAX_PAUSE)

    @contextmanager
    def transaction(self, *, writing: bool = True) -> Iterator[Session]:
        """Begin a transaction for statements; it is committed at the end, or rolled back on an error.

        :param writing: wait until no other process writes. A transaction that only reads waits for nobody, except in a
            DuckDB file.
        """
        with self._translated_errors():
            self._open()
            with self._engine.transaction(writing=writing) as session:
                yield session
        self.release()

    def counts(self) -> dict[str, int]:
        """Return the number of rows in each stream's table, including deleted and absent ones."""
        with self.transaction(writing=False) as session:
            counts = {name: session.query(rule.count_rows(table)) for name, table in TABLES.items()}
        return {name: int(count[0][0].as_py()) for name, count in counts.items()}

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Return the result of a query; names without a schema are those of this warehouse's schema.

        :param sql: in the engine's dialect, with ``?`` for parameters and double quotes around identifiers.
        :param parameters: values for the query's ``?``; datetimes aware.
        :return: instants as ``timestamp('us', 'UTC')``; lists as JSON texts where the engine has none.
        """
        with self.transaction(writing=False) as session:
            return session.query(sql, parameters)

    # Questions of the doctor

    def find_version(self) -> int:
        """Return the version of the tables, 0 if there are none; creates and changes nothing.

        :raises SchemaTooNew: a later version of this package created them.
        """
        if not self._engine.exists():
            return 0
        self.close()
        with self._translated_errors():
            self._engine.open()
            with self._engine.transaction():
                version = self._find_version()
        self.close()
        return version

    def find_holders(self) -> list[str]:
        """Return descriptions of the sessions that write now, where the engine can list them."""
        with self._translated_errors():
            return self._engine.find_holders()

    def read_clock(self) -> float | None:
        """Return the server's time in seconds since the epoch, None for an engine without a server."""
        with self._translated_errors():
            return self._engine.read_clock()

    def try_write(self) -> None:
        """Write something and roll it back; where that would prove nothing, store when this was tried.

        :raises WarehouseError: it cannot be written now.
        """
        if not self._engine.rolls_back_writes:
            now = utc(self._clock.now()).isoformat()
            self.run_transaction(lambda session: state.store_setting(session, "written", now))
            return
        with suppress(_RolledBack), self.transaction() as session:
            state.store_setting(session, "written", "once")
            raise _RolledBack

    @property
    def runs_own_statements(self) -> bool:
        """Whether other statements than this package's can run in a transaction, and find all rows."""
        return self._engine.runs_own_statements

    # The connection

    def release(self, force: bool = False) -> None:
        """Let other processes write; the next call opens the connection again if needed.

        :param force: close the connection at once; else only where an open one keeps others from writing, and after it
            was open for a while, since opening and closing have their cost.
        """
        with self._translated_errors():
            self._engine.release(force)

    def close(self) -> None:
        """Close the connection."""
        self._engine.close()

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _open(self) -> None:
        """Open the connection if there is none that can be used, and bring the tables to the current version."""
        if self._engine.is_open and not self._engine.is_alive():
            self._engine.close()
        if self._engine.is_open:
            return
        self._engine.open()
        if not self._is_current():
            self._migrate()

    def _is_current(self) -> bool:
        with self._engine.transaction():
            is_current = self._find_version() == len(migrations.MIGRATIONS)
            if is_current:
                self._engine.check_schema()
            return is_current

    def _migrate(self) -> None:
        try:
            with self._engine.transaction(writing=True) as session:
                if not self._engine.has_tables() or self._engine.has_current_tables:
                    self._engine.make_schema()
                migrations.apply_migrations(session, self._find_version(), utc(self._clock.now()))
                self._engine.check_schema()
        except Exception as error:
            # Without a lock, another process may have created the tables at the same time.
            if self._engine.has_lock_without_tables or self._engine.translate(error) is None or not self._is_current():
                raise

    def _find_version(self) -> int:
        if not self._engine.has_tables():
            return 0
        version = int(self._engine.run(state.STATEMENTS["find_version"])[0][0] or 0)
        migrations.check_version(version, self._engine.where)
        return version

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Close the connection on any error, and raise a driver's error as one of this package."""
        try:
            yield
        except BaseException as error:
            self.close()
            translated = self._engine.translate(error)
            if translated is None:
                raise
            # Not chained: drivers may quote a row.
            raise translated from None


def _count(batches: Sequence[RecordBatch]) -> int:
    return sum(batch.rows for batch in batches)


def _swept_stream(batches: Sequence[RecordBatch], progress: Progress | None) -> str:
    streams = {progress.stream} if progress else {batch.stream for batch in batches}
    if len(streams) != 1 or not streams <= TABLES.keys():
        raise ConfigurationError(
            f"A sweep is of one stream; here are {len(streams)}: {', '.join(sorted(streams)) or 'none'}."
        )
    return streams.pop()
