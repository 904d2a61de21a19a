"""Connections to a PostgreSQL server, and what its errors mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from airflow_provider_toggl.core.databases import faults, postgres
from airflow_provider_toggl.core.databases.database import DatabaseErrors, Row
from airflow_provider_toggl.core.databases.faults import first_line
from airflow_provider_toggl.core.databases.pool import ConnectionPool
from airflow_provider_toggl.core.errors import ConfigurationError, DatabaseFault, TogglError

T = TypeVar("T")
Connection = psycopg.Connection[Row]

LOCK_TIMEOUT = 5.0
"""Seconds to wait for other writers."""
STATEMENT_TIMEOUT = 30.0
"""Seconds that the longest statement may take: counting millions of rows."""

# A server that disappears without closing its connections is noticed after some 10 s; TCP alone would take 15 minutes.
_DETECT_SILENCE = {
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
    # Readers would miss rows that a policy hides: fail instead.
    "row_security": "off",
    "lock_timeout": f"{LOCK_TIMEOUT * 1000:.0f}",
    "statement_timeout": f"{STATEMENT_TIMEOUT * 1000:.0f}",
    "idle_in_transaction_session_timeout": f"{LOCK_TIMEOUT * 1000:.0f}",
}
_DURABLE = """; select set_config('synchronous_commit', 'on', false)
where current_setting('synchronous_commit') <> 'remote_apply'"""
"""What was committed must outlive a crash. ``remote_apply``, which waits for more than our disk, stays."""


class PostgresServer:
    """Runs work on connections to one server and raises the errors of the part that uses it.

    Connections are PostgreSQL's own or a pooler's in session mode: settings and LISTEN belong to the session.

    :param dsn: a connection string of libpq; never shown.
    :param errors: what to raise.
    :param connect_timeout: in seconds, at least 2, where the DSN has none.
    :param on_connect: the LISTEN to run on each new connection, None for connections that do not listen.
    """

    def __init__(
        self, dsn: str, errors: DatabaseErrors, connect_timeout: float, on_connect: bytes | None = None
    ) -> None:
        try:
            self._parameters = {
                "connect_timeout": str(max(2, round(connect_timeout))),
                **_DETECT_SILENCE,
                **conninfo_to_dict(dsn),
                **postgres.CONNECT_PARAMETERS,
            }
        except psycopg.ProgrammingError:
            # Not chained: its text quotes the DSN.
            raise ConfigurationError(
                f"The {errors.name}'s connection string is none that PostgreSQL understands."
            ) from None
        self._errors = errors
        self._on_connect = on_connect
        self._pool: ConnectionPool[Connection] = ConnectionPool(self._open, psycopg.Connection.close, errors)

    def run(self, work: Callable[[Connection], T]) -> T:
        """Return what the work returns; it runs a second time where the connection was lost, as by a restart.

        So the work must do no harm if it runs twice.
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
            raise self._translate(error) from None  # its text may quote a row

    def close_idle(self) -> None:
        """Close the connections that are not in use."""
        self._pool.clear()

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
            raise self._errors.unavailable(
                f"The {self._errors.name}'s PostgreSQL cannot be reached: {first_line(error)} "
                f"{faults.ADVICE.get(fault, '')} What was not stored may be tried again.",
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

    def _translate(self, error: psycopg.Error) -> TogglError:
        """Return what an error means. The details that PostgreSQL adds are left out: they may quote a row."""
        fault = postgres.find_fault(error)
        text = f"The {self._errors.name}'s PostgreSQL says ({error.sqlstate or 'no code'}): "
        text += first_line(error.diag.message_primary or error)
        if fault in (DatabaseFault.CORRUPT, DatabaseFault.MISSING_OBJECT):
            return self._errors.damaged(
                f"{text} If its tables are missing, they were never made, somebody removed them, or its user has no "
                "USAGE on their schema; else the database is damaged and needs its administrator.",
                fault=fault,
            )
        advice = _ADVICE.get(fault) or faults.ADVICE.get(fault, "")
        if fault is DatabaseFault.MISSING_RIGHT:
            advice = f"Its user must own the {self._errors.name}'s schema, or be allowed to create it."
        if error.sqlstate in faults.COLLISIONS:
            advice = faults.COLLIDED
        parts = (text, advice, "What was not stored may be tried again.")
        return self._errors.unavailable(" ".join(part for part in parts if part), fault=fault)


_ADVICE = {
    DatabaseFault.LOCKED: f"Others have kept it busy for more than {LOCK_TIMEOUT:g} s.",
    DatabaseFault.CANCELED: f"It took longer than {STATEMENT_TIMEOUT:g} s, or somebody canceled it.",
}
