"""Opens the event store that an Airflow connection names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.hooks import telemetry
from airflow_provider_toggl.hooks.connections import (
    POSTGRES_TYPES,
    build_wrong_type_error,
    database_file,
    get_connection,
    get_toggl_fields,
)
from airflow_provider_toggl.hooks.hosts import check_local_file
from airflow_provider_toggl.hooks.libpq import build_dsn
from airflow_provider_toggl.hooks.settings import state_dir

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_toggl.core.events.store import EventStore


def open_event_store(toggl_conn_id: str | None = None, *, event_store_conn_id: str | None = None) -> EventStore:
    """Return an event store, and create or migrate its tables. Blocks: connections, files, the network.

    In a coroutine call it by ``asyncio.to_thread``; Airflow's triggerer resolves connections from any thread.

    :param toggl_conn_id: the Toggl connection whose ``event_store_conn_id`` names the store's connection.
    :param event_store_conn_id: the store's connection itself, used instead; an empty text is the default store.
    :raises ConfigurationError: a connection is missing, or is of a type that cannot keep events, or hosts would not
        share the default store.
    :raises EventStoreError: the store cannot be used.
    """
    telemetry.connect()
    if event_store_conn_id is None:
        event_store_conn_id = "" if toggl_conn_id is None else resolve_store_conn_id(toggl_conn_id)
    store = _build_store(event_store_conn_id)
    try:
        store.prepare()
    except BaseException:
        store.close()
        raise
    return store


def resolve_store_conn_id(toggl_conn_id: str) -> str:
    """Return the connection of the event store that a Toggl connection names, an empty text for the default store.

    :raises ConfigurationError: there is no such Toggl connection. The default store is not used then: Airflow reports
        the same while it cannot reach its own server, and events would be searched for in the wrong place.
    """
    return get_toggl_fields(toggl_conn_id).event_store_conn_id


def check_store_connection(conn_id: str) -> None:
    """Return if a connection can be an event store's; the store is not opened.

    :raises ConfigurationError: it does not exist, or one of its fields is invalid.
    """
    _build_store(conn_id).close()


def default_store_path() -> Path:
    """Return the path of the default store."""
    return state_dir() / "events.sqlite"


def _build_store(conn_id: str) -> EventStore:
    if not conn_id.strip():
        path = default_store_path()
        check_local_file("events", path)
        return _sqlite_store(path)
    connection = get_connection(conn_id, parameter="event_store_conn_id")
    if connection.conn_type == "sqlite":
        return _sqlite_store(database_file(connection, "SQLite", suffixes=(".sqlite", ".db")))
    if connection.conn_type in POSTGRES_TYPES:
        return _postgres_store(connection)
    raise build_wrong_type_error(
        connection, "event_store_conn_id", "one of type 'postgres', or 'sqlite' (host: the file's path)"
    )


def _sqlite_store(path: Path) -> EventStore:
    from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore  # noqa: PLC0415 - one engine is enough

    return SqliteEventStore(path)


def _postgres_store(connection: Connection) -> EventStore:
    try:
        from airflow_provider_toggl.core.events.postgres.engine import PostgresEventStore  # noqa: PLC0415 - needs psycopg, an extra of the package

        dsn = build_dsn(connection)
    except ImportError as missing:
        raise ConfigurationError(
            f"An event store in PostgreSQL needs psycopg 3 ({missing}): pip install 'airflow-provider-toggl[postgres]'."
        ) from None
    return PostgresEventStore(dsn)
