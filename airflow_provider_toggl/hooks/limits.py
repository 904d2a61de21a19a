"""Opens the rate-limit state of a Toggl connection: a file of this host, or the database that all hosts share."""

from __future__ import annotations

import socket
from functools import lru_cache

from airflow_provider_toggl.core.client.limits.state import RateLimitState, hash_token
from airflow_provider_toggl.core.client.limits.store import StateStore
from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.hooks.connections import POSTGRES_TYPES, get_connection
from airflow_provider_toggl.hooks.hosts import check_local_file
from airflow_provider_toggl.hooks.libpq import build_dsn
from airflow_provider_toggl.hooks.settings import TogglFields, state_dir


def open_rate_limit_state(fields: TogglFields, base_url: str, token: str) -> RateLimitState:
    """Return the rate limits of a token. Nothing is opened yet.

    They are where the connection's events are: in the PostgreSQL database that ``event_store_conn_id`` names, or else
    in a file of this host.

    :param fields: of the Toggl connection.
    :raises ConfigurationError: the named connection does not exist, or hosts would not share the limits.
    """
    scope = socket.gethostname() if fields.pace_scope == "host" else ""
    return RateLimitState(_build_store(fields.event_store_conn_id), hash_token(base_url, token), scope=scope)


@lru_cache(8)
def _share_postgres(dsn: str) -> StateStore:
    """Return the store of a database, whose connections all sessions of this process share."""
    from airflow_provider_toggl.core.client.limits.postgres_state import PostgresState  # noqa: PLC0415 - needs psycopg, an extra of the package

    return PostgresState(dsn)


def _build_store(conn_id: str) -> StateStore:
    connection = get_connection(conn_id, parameter="event_store_conn_id") if conn_id.strip() else None
    if connection is not None and connection.conn_type in POSTGRES_TYPES:
        try:
            return _share_postgres(build_dsn(connection))
        except ImportError as missing:
            raise ConfigurationError(
                f"Rate limits in PostgreSQL need psycopg 3 ({missing}): pip install 'airflow-provider-toggl[postgres]'."
            ) from None
    from airflow_provider_toggl.core.client.limits.state_file import StateFile  # noqa: PLC0415 - one store is enough

    path = state_dir() / "quota.sqlite"
    check_local_file("rate limits", path)
    return StateFile(path)
