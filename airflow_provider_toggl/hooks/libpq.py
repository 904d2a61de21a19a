"""Airflow's connections to PostgreSQL as libpq wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

# What libpq takes from the extra of a connection; each by name, since an extra holds other things too.
_LIBPQ = (
    "channel_binding",
    "connect_timeout",
    "gssencmode",
    "keepalives_idle",
    "sslcert",
    "sslcrl",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "target_session_attrs",
)


def build_dsn(connection: Connection) -> str:
    """Return the connection string of a connection, which holds its password.

    :raises ImportError: psycopg 3 is not installed.
    """
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415 - an extra of the package

    extra = connection.extra_dejson
    parameters: dict[str, Any] = {
        "host": connection.host,
        "port": connection.port,
        "user": connection.login,
        "password": connection.password,
        "dbname": connection.schema,
        **{name: extra.get(name) for name in _LIBPQ},
    }
    return make_conninfo(**{name: value for name, value in parameters.items() if value})
