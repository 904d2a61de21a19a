"""What all warehouses have in common: a landing is the same steps on a transaction of theirs."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from types import TracebackType
from typing import Any

import pyarrow as pa

from airflow_provider_toggl.core.clock import Clock, utc
from airflow_provider_toggl.core.errors import ConfigurationError, DatabaseFault, WarehouseError
from airflow_provider_toggl.core.load import days, history_steps, merge, steps, unencodable
from airflow_provider_toggl.core.load.queries import load_queries
from airflow_provider_toggl.core.load.records import Batch
from airflow_provider_toggl.core.load.schemas import TABLES
from airflow_provider_toggl.core.load.session import Session, instants_of
from airflow_provider_toggl.core.load.target import Landed, Progress, Sweep, SyncState
from airflow_provider_toggl.core.load.zones import find_spans, get_zone

log = logging.getLogger(__name__)


class _TakenBack(Exception):
    """Ends a transaction so that nothing of it stays."""


class SqlTarget(ABC):
    """A warehouse that understands SQL. Subclasses open it; each transaction finds tables of this version in it.

    Not for use by several threads at once; several objects, threads or processes each with their own take turns.

    :param clock: time, as a seam.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @abstractmethod
    def _transaction(self) -> AbstractContextManager[Session]:
        """Begin a transaction that no other landing runs beside; commit it, or take all of it back on an error."""

    @abstractmethod
    def _reading(self) -> AbstractContextManager[Session]:
        """Open the warehouse for questions, which need not wait for landings."""

    def _find_unencodable(self, characters: str) -> str:
        """Return those of some characters that the encoding of the database cannot hold."""
        return ""

    @abstractmethod
    def _check_zone(self, session: Session, timezone: str) -> None:
        """Refuse a zone that the engine itself does not know.

        :raises ConfigurationError: there is no such zone.
        """

    @abstractmethod
    def find_version(self) -> int:
        """Return the version of the tables that are there, 0 where there are none; makes and changes nothing.

        :raises SchemaTooNew: a later version of this package made them.
        """

    @abstractmethod
    def release(self, force: bool = False) -> None:
        """Let other processes at the warehouse; the next call takes it again.

        :param force: at once, also when it was not held for long.
        """

    @abstractmethod
    def close(self) -> None:
        """Give back everything."""

    def prepare(self, timezone: str | None = None) -> None:
        """Make or upgrade schema, tables and views.

        Every other method does so too when it opens the warehouse; this one is for doing it early.

        :param timezone: IANA name of the zone of ``local_date`` in ``time_entry_facts``; None keeps what is set, which
            is UTC at first.
        :raises SchemaTooNew: a later version of this package made the tables.
        :raises ConfigurationError: there is no such zone.
        """
        if timezone is not None:
            self.set_timezone(timezone)
        else:
            with self._reading():
                pass

    def set_timezone(self, timezone: str) -> None:
        """Set the zone of ``local_date`` in ``time_entry_facts``.

        :param timezone: IANA name.
        :raises ConfigurationError: there is no such zone, or the engine does not know it.
        """
        with self._reading() as session:
            get_zone(timezone)
            if steps.find_setting(session, "timezone", "") == timezone:
                return
        with self._transaction() as session:
            before = days.find_fact_days(session)
            if session.dialect.has_zones:
                self._check_zone(session, timezone)
            else:
                store_offsets(session, timezone)
            steps.store_setting(session, "timezone", timezone)
            days.note_days(session, before | days.find_fact_days(session), utc(self._clock.now()))

    def keep_history(self, kept: bool) -> None:
        """Keep from now on every version of a time entry that is observed, or stop; what is kept stays.

        Holds for all who land in this warehouse. Costs one query where nothing is to do.

        :param kept: True begins with the entries as they are stored.
        """
        with self._reading() as session:
            if history_steps.is_kept(session) == kept:
                return
        with self._transaction() as session:
            history_steps.set_kept(session, kept)

    def find_state(self, stream: str, scope: str) -> SyncState | None:
        """Return how far the stream has come in that scope, None when it was never landed."""
        with self._reading() as session:
            found = session.table(load_queries("landing")["find_state"], [stream, scope])
        if not found.num_rows:
            return None
        (watermark,), (last_run_at,) = instants_of(found[0]), instants_of(found[2])
        assert last_run_at is not None  # noqa: S101 - the column is not null
        return SyncState(
            stream=stream,
            scope=scope,
            watermark=watermark,
            cursor=found[1][0].as_py(),
            last_run_at=last_run_at,
            requests_spent=int(found[3][0].as_py()),
        )

    def find_holders(self) -> list[str]:
        """Return who keeps others from landing now, in words, where the engine tells it beside its errors."""
        return []

    def read_clock(self) -> float | None:
        """Return the time of the server in seconds since the epoch, None where it has no clock of its own."""
        return None

    def last_runs(self) -> list[tuple[str, datetime]]:
        """Return each stream that was ever landed, with the time of its last run."""
        with self._reading() as session:
            found = session.table(load_queries("landing")["list_last_runs"])
        moments = instants_of(found[1])
        return [(name.as_py(), at) for name, at in zip(found[0], moments, strict=True) if at is not None]

    def try_write(self) -> None:
        """Write something and take it back.

        :raises WarehouseError: it cannot be written now.
        """
        with suppress(_TakenBack), self._transaction() as session:
            steps.store_setting(session, "written", "once")
            raise _TakenBack

    def land(
        self,
        batches: Sequence[Batch],
        progress: Progress | None = None,
        sweep: Sweep | None = None,
        *,
        note_days: bool = False,
    ) -> Landed:
        """Merge rows, keep rejected records, store progress and mark what is absent, in one transaction.

        A row that the database cannot hold, for a character that its encoding lacks or for its size, is rejected;
        nothing is marked absent then, since the row is not known to be there or to be missing.

        :param note_days: tell which local days, and which of them time entries, really changed.
        :raises AbsenceRefused: the sweep would mark too many rows; nothing of this call is stored.
        :raises ConfigurationError: it cannot be told which stream the sweep is of.
        """
        swept = _swept_stream(batches, progress) if sweep else ""
        try:
            return self._land(batches, progress, sweep, swept, note_days=note_days)
        except WarehouseError as error:
            if error.fault is not DatabaseFault.UNENCODABLE:
                raise
            lost = self._find_unencodable(unencodable.characters_of(batches))
            if not lost:
                raise
            log.warning("%s Rows with such characters are kept in rejected_records.", error)
        fitting = unencodable.reject_rows(batches, lost)
        if _count_rows(fitting) < _count_rows(batches):
            sweep = None
        return self._land(fitting, progress, sweep, swept, note_days=note_days)

    def _land(
        self,
        batches: Sequence[Batch],
        progress: Progress | None,
        sweep: Sweep | None,
        swept: str,
        *,
        note_days: bool,
    ) -> Landed:
        with self._transaction() as session:
            fitting = unencodable.reject_long_rows(batches, session.dialect.text_limit, session.longest_row)
            if _count_rows(fitting) < _count_rows(batches):
                sweep = None
            batches = fitting
            noted = steps.Noted(steps.find_setting(session, "timezone", "UTC"))
            streams = {batch.stream: [b for b in batches if b.stream == batch.stream] for batch in batches}
            parts = [steps.merge_batches(session, stream, group, noted) for stream, group in streams.items()]
            history_steps.keep_versions(session, batches)
            steps.keep_rejected(session, [r for batch in batches for r in batch.rejected], utc(self._clock.now()))
            if progress is not None:
                steps.store_progress(session, progress)
            absent = steps.sweep_stream(session, swept, sweep, noted) if sweep else 0
            days.note_days(session, noted.days, utc(self._clock.now()))
        return Landed(
            inserted=sum(part.inserted for part in parts),
            updated=sum(part.updated for part in parts),
            unchanged=sum(part.unchanged for part in parts),
            rejected=sum(part.rejected for part in parts),
            absent=absent,
            changed_days=frozenset(noted.days) if note_days else frozenset(),
            changed_ids=tuple(noted.ids) if note_days else (),
        )

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Begin a transaction for statements of one's own; it is stored at the end, or taken back on an error."""
        with self._transaction() as session:
            yield session

    def counts(self) -> dict[str, int]:
        """Return the number of rows in each stream's table, deleted and absent ones among them."""
        with self._reading() as session:
            return {name: int(session.run(merge.count_rows(table))[0][0]) for name, table in TABLES.items()}

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Return what a query finds; names without a schema are looked up in this warehouse's.

        :param sql: in the engine's words, with ``?`` for parameters and double quotes around identifiers.
        :param parameters: values for the query's ``?``; datetimes aware.
        :return: instants as ``timestamp('us', 'UTC')``; lists as texts where the engine has none.
        """
        with self._reading() as session:
            return session.table(sql, parameters)

    def __enter__(self) -> SqlTarget:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


def store_offsets(session: Session, timezone: str) -> None:
    """Keep a zone's offsets from UTC beside the tables, for the views of engines that do not know zones."""
    queries = load_queries("landing")
    session.run(queries["delete_offsets"])
    session.run_many(queries["insert_offset"], [[span.begin, span.end, span.seconds] for span in find_spans(timezone)])


def _count_rows(batches: Sequence[Batch]) -> int:
    return sum(batch.rows for batch in batches)


def _swept_stream(batches: Sequence[Batch], progress: Progress | None) -> str:
    streams = {progress.stream} if progress else {batch.stream for batch in batches}
    if len(streams) != 1 or not streams <= TABLES.keys():
        raise ConfigurationError(
            f"A sweep is of one stream; here are {len(streams)}: {', '.join(sorted(streams)) or 'none'}."
        )
    return streams.pop()
