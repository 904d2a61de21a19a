"""The rate-limit state in a PostgreSQL schema, for several hosts. The server's clock is the only one that counts."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable
from typing import TypeVar

import psycopg

from airflow_provider_toggl.core.client.limits.store import (
    HOUR,
    HourlyUsage,
    StateStore,
    build_usage,
    decode_state,
    list_writes,
)
from airflow_provider_toggl.core.client.limits.token_state import TokenState
from airflow_provider_toggl.core.clock import Clock, SystemClock
from airflow_provider_toggl.core.databases.database import DatabaseErrors
from airflow_provider_toggl.core.databases.postgres_schema import PostgresSchema
from airflow_provider_toggl.core.databases.postgres_server import Connection
from airflow_provider_toggl.core.databases.statements import load_migrations, load_statements
from airflow_provider_toggl.core.errors import (
    DatabaseFault,
    RateLimitStateError,
    RateLimitStateUnavailable,
    TogglError,
)

T = TypeVar("T")

FILE = "sql/postgres.sql"
#: What ends by itself, or after a change at the server that does not concern this package.
TEMPORARY = frozenset(
    {
        DatabaseFault.UNREACHABLE,
        DatabaseFault.CONNECTION_LOST,
        DatabaseFault.TOO_MANY_CONNECTIONS,
        DatabaseFault.LOCKED,
        DatabaseFault.CANCELED,
        DatabaseFault.READ_ONLY,
        DatabaseFault.DISK_FULL,
        DatabaseFault.OUT_OF_MEMORY,
    }
)


def build_error(message: str, *, fault: DatabaseFault = DatabaseFault.OTHER) -> TogglError:
    """Return an error that lets tasks wait where the fault may end by itself, and fail otherwise."""
    kind = RateLimitStateUnavailable if fault in TEMPORARY else RateLimitStateError
    return kind(message, fault=fault)


ERRORS = DatabaseErrors(
    name="rate-limit state",
    unavailable=build_error,
    damaged=build_error,
    too_new=build_error,
    loss="Toggl may refuse one request",
)


class PostgresState(PostgresSchema, StateStore):
    """Keeps the state of each token in one row, which a change locks for two round trips.

    :param dsn: a connection string of libpq.
    :param schema: where the tables are; the first use creates it.
    :param connect_timeout: in seconds, at least 2.
    """

    def __init__(
        self, dsn: str, *, schema: str = "toggl_limits", clock: Clock | None = None, connect_timeout: float = 5.0
    ) -> None:
        super().__init__(
            dsn,
            schema,
            statements=load_statements(__package__, FILE),
            migrations=load_migrations(__package__, FILE),
            errors=ERRORS,
            clock=clock or SystemClock(),
            connect_timeout=connect_timeout,
        )
        # Nobody closes the rate limits of a token.
        weakref.finalize(self, self.server.close)
        self._is_prepared = False

    def update(self, token: str, now: float, change: Callable[[TokenState, float], T]) -> T:
        """Change the state of a token, and return what the change returned."""
        self._prepare_once()
        return self.server.run(lambda db: self._update(db, token, change))

    def read(self, token: str, now: float) -> tuple[TokenState, float]:
        """Return the state of a token and the server's time."""
        self._prepare_once()
        ((text, at),) = self.fetch("find_state", token=token)
        return decode_state(text), at

    def list_usage(self, token: str, since: float) -> list[HourlyUsage]:
        """Return the requests of each hour that ends after ``since``, by lane and hour."""
        self._prepare_once()
        return build_usage(self.fetch("list_usage", token=token, hour=int(since // HOUR)))

    def close_idle(self) -> None:
        """Close the connections that are not in use."""
        self.server.close_idle()

    def _update(self, db: Connection, token: str, change: Callable[[TokenState, float], T]) -> T:
        session = self.session(db)
        # One round trip begins the transaction and reads, one writes and commits; without a pipeline each is two.
        pipeline = db.pipeline() if psycopg.Pipeline.is_supported() else contextlib.nullcontext()
        with pipeline, db.transaction():
            rows = session.fetch("lock_state", token=token)
            if not rows:
                session.execute("add_token", token=token)
                rows = session.fetch("lock_state", token=token)
            text, at = rows[0]
            state = decode_state(text)
            result = change(state, at)
            # Their results are not read, so that these statements are sent together.
            for statement, values in list_writes(token, state, result, at):
                session.send(statement, **values)
        return result

    def _prepare_once(self) -> None:
        # Without a lock, which a fork could copy while it is held. Preparing twice does no harm.
        if not self._is_prepared:
            self.prepare()
            self._is_prepared = True
