"""A PostgreSQL server that keeps events: how connections are made, and what its errors mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from airflow_provider_toggl.core.errors import (
    ConfigurationError,
    EventStoreDamaged,
    EventStoreError,
    EventStoreUnavailable,
)
from airflow_provider_toggl.core.events.pool import ConnectionPool
from airflow_provider_toggl.core.events.queries import load_queries

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
_DAMAGE = ("XX", "42P01", "42703", "3F000")
"""Begins of SQLSTATE: internal errors such as a broken page; tables, columns or a schema that are not there."""
_CUT = (None, "57P01", "57P02", "57P03", "25P03")
"""SQLSTATE where the connection ended, by the network or by the server; the next one may be good."""


class PostgresServer:
    """Runs work on connections to one server and speaks of its troubles in this package's errors.

    :param dsn: a connection string of libpq; never shown.
    :param connect_timeout: in seconds, where the DSN has none.
    :param on_connect: a statement to run on each new connection.
    """

    def __init__(self, dsn: str, connect_timeout: float, on_connect: sql.Composed | None = None) -> None:
        try:
            self._parameters = {
                "connect_timeout": str(max(2, round(connect_timeout))),
                **_NOTICE_SILENCE,
                **conninfo_to_dict(dsn),
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
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                if error.sqlstate not in _CUT:
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
            raise EventStoreUnavailable(
                f"The event store's PostgreSQL cannot be reached: {_first_line(str(error))} What was not stored may be "
                "tried again."
            ) from None
        try:
            seconds = (LOCK_TIMEOUT, STATEMENT_TIMEOUT, LOCK_TIMEOUT)
            timeouts = [f"{each * 1000:.0f}" for each in seconds]
            db.execute(sql.SQL(load_queries("postgres")["configure_session"]), timeouts)
            if self._on_connect:
                db.execute(self._on_connect)
        except BaseException:
            db.close()
            raise
        return db


def _translated(error: psycopg.Error) -> EventStoreError:
    """Return what an error means. The details that PostgreSQL adds are left out: they may quote a row."""
    text = _first_line(error.diag.message_primary or str(error))
    state = error.sqlstate or ""
    if state.startswith(_DAMAGE):
        return EventStoreDamaged(
            f"The event store's PostgreSQL says ({state}): {text} If its tables are missing, they were never made or "
            "somebody removed them; else the database is damaged and needs its administrator."
        )
    return EventStoreUnavailable(f"The event store's PostgreSQL says ({state or 'no code'}): {text} {_advice(state)}")


def _advice(state: str) -> str:
    if state == "42501":
        return "Its user must own the event store's schema, or be allowed to create it."
    if state == "25006":
        return "It is read-only: connect to the primary server."
    if state.startswith("53"):
        return "The server lacks room, memory or connections; what was not stored may be tried again."
    if state in ("55P03", "57014"):
        return "Others have kept it busy for too long; what was not stored may be tried again."
    return "What was not stored may be tried again."


def _first_line(text: str) -> str:
    return " ".join(text.split("\n", maxsplit=1)[0].split()).rstrip(".") + "."
