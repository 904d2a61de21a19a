"""Any database with a DB-API driver as the warehouse: batches of inserts into a staging table, and the same merge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from airflow_provider_toggl.core.clock import Clock, SystemClock, utc
from airflow_provider_toggl.core.load import migrations
from airflow_provider_toggl.core.load.dbapi_engines import ENGINES, is_driver_error
from airflow_provider_toggl.core.load.dbapi_session import DbApiSession
from airflow_provider_toggl.core.load.queries import load_queries
from airflow_provider_toggl.core.load.session import Session
from airflow_provider_toggl.core.load.sql_target import SqlTarget, store_offsets


@dataclass(frozen=True)
class DbApi:
    """How a database is reached.

    :param connect: opens a connection of a driver that follows PEP 249.
    :param placeholder: ``?`` or ``%s``, as the driver writes parameters.
    :param engine: ``sqlite``, ``mysql`` or ``ansi``.
    :param where: how errors name it; nothing secret.
    """

    connect: Callable[[], Any]
    placeholder: str
    engine: str
    where: str


class DbApiTarget(SqlTarget):
    """Lands in a schema of a database that a DB-API driver reaches.

    One connection, opened at the first call and again where the server has ended it between two calls. Landings into
    one schema take turns.

    :param api: how it is reached.
    :param schema: the schema of all tables and views: a database of MySQL; SQLite has one a file.
    :param lock_timeout: seconds to wait for another landing.
    :param clock: time, as a seam.
    """

    def __init__(
        self, api: DbApi, *, schema: str = "toggl", lock_timeout: float = 300.0, clock: Clock | None = None
    ) -> None:
        super().__init__(clock or SystemClock())
        self._api = api
        self._engine = ENGINES[api.engine](schema, lock_timeout)
        self._connection: Any = None

    def find_version(self) -> int:
        """Return the version of the tables that are there, 0 where there are none; makes and changes nothing.

        :raises SchemaTooNew: a later version of this package made them.
        """
        self.close()
        try:
            with self._translated():
                self._connection = self._api.connect()
                session = self._session()
                self._engine.configure(self._connection, session)
                return self._find_version(self._connection, session)
        finally:
            self.close()

    def release(self, force: bool = False) -> None:
        """Close the connection when forced to: whoever goes on landing keeps it, and holds up nobody."""
        if force:
            self.close()

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        with self._opened() as (connection, session):
            yield session
            self._engine.end_reading(connection)

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        with self._opened() as (connection, session), self._turn(connection, session):
            self._engine.take_turn(session)
            yield session

    def _check_zone(self, session: Session, timezone: str) -> None:
        """Take every zone: its offsets are kept beside the tables."""

    @contextmanager
    def _opened(self) -> Iterator[tuple[Any, DbApiSession]]:
        with self._translated():
            if self._connection is not None and not self._is_alive():
                self.close()
            if self._connection is None:
                self._connection = self._api.connect()
                session = self._session()
                self._engine.configure(self._connection, session)
                self._prepare(self._connection, self._session())
            yield self._connection, self._session()

    def _is_alive(self) -> bool:
        """Return whether the session that is kept can still be used, by asking what is there to be asked."""
        try:
            self._session().run(load_queries("tables")["find_version"])
            self._engine.end_reading(self._connection)
        except Exception as error:
            if not is_driver_error(error):
                raise
            return False
        return True

    def _find_unencodable(self, characters: str) -> str:
        with self._opened() as (_, session):
            return self._engine.find_unencodable(session, characters)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Raise a driver's errors as this package's; the connection is given up with any."""
        try:
            yield
        except BaseException as error:
            self._give_up()
            if is_driver_error(error) and isinstance(error, Exception):
                # Not chained: drivers may quote a row.
                raise self._engine.translate(error, self._api.where) from None
            raise

    def _session(self) -> DbApiSession:
        return DbApiSession(self._connection, self._api.placeholder, self._engine.dialect, self._engine.statement_bytes)

    def _give_up(self) -> None:
        """Take back what was begun; a new connection knows nothing of it."""
        if self._connection is not None:
            with suppress(Exception):
                self._engine.rollback(self._connection)
        self.close()

    @contextmanager
    def _turn(self, connection: Any, session: DbApiSession) -> Iterator[None]:
        self._engine.begin(session)
        yield
        self._engine.commit(connection, session)

    def _prepare(self, connection: Any, session: DbApiSession) -> None:
        if self._find_version(connection, session) == len(migrations.MIGRATIONS):
            self._engine.check_schema(session)
            self._engine.end_reading(connection)
            return
        try:
            self._migrate(connection, session)
        except Exception as error:
            if not is_driver_error(error):
                raise
            # Where nothing can be locked before there are tables, another process may have made them meanwhile.
            self._engine.rollback(connection)
            if self._find_version(connection, session) != len(migrations.MIGRATIONS):
                raise

    def _migrate(self, connection: Any, session: DbApiSession) -> None:
        self._engine.make_schema(connection, session)
        with self._turn(connection, session):
            version = self._find_version(connection, session)
            migrations.apply_migrations(session, version, utc(self._clock.now()))
            if not version:
                store_offsets(session, "UTC")
            self._engine.check_schema(session)

    def _find_version(self, connection: Any, session: DbApiSession) -> int:
        if not self._engine.has_tables(connection, session):
            return 0
        version = int(session.run(load_queries("tables")["find_version"])[0][0] or 0)
        migrations.check_version(version, self._api.where)
        return version
