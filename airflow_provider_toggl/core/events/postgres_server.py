"""A PostgreSQL server that keeps events: how connections are made, and what its errors mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from airflow_provider_toggl.core.databases import faults, postgres
from airflow_provider_toggl.core.databases.faults import first_line
from airflow_provider_toggl.core.errors import (
    ConfigurationError,
    DatabaseFault,
    EventStoreDamaged,
    EventStoreError,
    EventStoreUnavailable,
)
from airflow_provider_toggl.core.events.pool import ConnectionPool

T = TypeVar("T")
Connection = psycopg.Connection[tuple[object, ...]]

LOCK_TIMEOUT = 5.0
"""Seconds to wait for other writers."""
STATEMENT_TIMEOUT = 30.0
"""Seconds that the longest statement may take: counting millions of events."""

# A server that is gone without a word is noticed after some 10 s; TCP alone would take a quarter of an hour.
_NOTICE_SILENCE = {
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
    "application_name": "airflow-provider-toggl",
}
SESSION_SETTINGS: dict[str, str] = {
    **postgres.SESSION_SETTINGS,
    "search_path": "pg_catalog",
    # Each statement sees what was committed before it, and may write.
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    # Events that a policy hides would be lost to readers: fail instead.
    "row_security": "off",
    "lock_timeout": f"{LOCK_TIMEOUT * 1000:.0f}",
    "statement_timeout": f"{STATEMENT_TIMEOUT * 1000:.0f}",
    "idle_in_transaction_session_timeout": f"{LOCK_TIMEOUT * 1000:.0f}",
}
_DURABLE = """; select set_config('synchronous_commit', 'on', false)
where current_setting('synchronous_commit') <> 'remote_apply'"""
"""An answered delivery must outlive a crash; a role or database that waits for more than our disk keeps that."""


class PostgresServer:
    """Runs work on connections to one server and speaks of its troubles in this package's errors.

    :param dsn: a connection string of libpq; never shown.
    :param connect_timeout: in seconds, where the DSN has none.
    :param on_connect: the LISTEN to run on each new connection, None for those that do not listen.
    """

    def __init__(self, dsn: str, connect_timeout: float, on_connect: sql.Composed | None = None) -> None:
        try:
            self._parameters = {
                "connect_timeout": str(max(2, round(connect_timeout))),
                **_NOTICE_SILENCE,
                **conninfo_to_dict(dsn),
                **postgres.CONNECT_PARAMETERS,
            }
        except psycopg.ProgrammingError:
            # Not chained: its text quotes the DSN.
            raise ConfigurationError(
                "The event store's connection string is none that PostgreSQL understands."
            ) from None
        self._on_connect = on_connect
        self._pool: ConnectionPool[Connection] = ConnectionPool(self._open, psycopg.Connection.close)

    def run(self, work: Callable[[Connection], T]) -> T:
        """Return what the work returns; it is done a second time where the connection was cut, as by a restart.

        So the work must do no harm if it is done twice.

        :raises EventStoreError: it failed.
        """
        try:
            try:
                return self._run_once(work)
            except psycopg.Error as error:
                if postgres.find_fault(error) is not DatabaseFault.CONNECTION_LOST:
                    raise
                self._pool.clear()
                return self._run_once(work)
        except psycopg.Error as error:
            raise _translated(error) from None  # its text may quote a row

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def _run_once(self, work: Callable[[Connection], T]) -> T:
        with self._pool.borrow() as db:
            return work(db)

    def _open(self) -> Connection:
        try:
            # A transaction is begun where one is wanted.
            db = psycopg.connect(autocommit=True, **self._parameters)  # type: ignore[arg-type]
        except psycopg.Error as error:
            fault = postgres.find_refusal(error)
            raise EventStoreUnavailable(
                f"The event store's PostgreSQL cannot be reached: {first_line(error)} {faults.ADVICE.get(fault, '')} "
                "What was not stored may be tried again.",
                fault=fault,
            ) from None
        try:
            # A session that listens is idle by its nature.
            settings = SESSION_SETTINGS | ({"idle_session_timeout": "0"} if self._on_connect else {})
            db.execute(postgres.build_settings(db, settings, local=False) + sql.SQL(_DURABLE))
            if self._on_connect:
                db.execute(self._on_connect)
        except BaseException:
            db.close()
            raise
        return db


def _translated(error: psycopg.Error) -> EventStoreError:
    """Return what an error means. The details that PostgreSQL adds are left out: they may quote a row."""
    fault = postgres.find_fault(error)
    text = f"The event store's PostgreSQL says ({error.sqlstate or 'no code'}): "
    text += first_line(error.diag.message_primary or error)
    if fault in (DatabaseFault.CORRUPT, DatabaseFault.MISSING_OBJECT):
        return EventStoreDamaged(
            f"{text} If its tables are missing, they were never made, somebody removed them, or its user has no USAGE "
            "on their schema; else the database is damaged and needs its administrator.",
            fault=fault,
        )
    advice = _ADVICE.get(fault) or faults.ADVICE.get(fault, "")
    if error.sqlstate in faults.COLLISIONS:
        advice = faults.COLLIDED
    return EventStoreUnavailable(
        " ".join(part for part in (text, advice, "What was not stored may be tried again.") if part), fault=fault
    )


_ADVICE = {
    DatabaseFault.MISSING_RIGHT: "Its user must own the event store's schema, or be allowed to create it.",
    DatabaseFault.LOCKED: f"Others have kept it busy for more than {LOCK_TIMEOUT:g} s.",
    DatabaseFault.CANCELED: f"It took longer than {STATEMENT_TIMEOUT:g} s, or somebody canceled it.",
}
