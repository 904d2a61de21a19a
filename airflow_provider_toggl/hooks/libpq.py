"""Airflow connections to PostgreSQL as connection strings of libpq."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.hooks.connections import split_host, with_fields

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

# What Airflow's PostgresHook reads from an extra itself (its ignored_extra_options); it passes the rest to libpq.
_FOR_THE_HOOK = frozenset(
    (
        "cursor",
        "sqlalchemy_scheme",
        "sqlalchemy_query",
        "aws_conn_id",
        "azure_conn_id",
        "cluster-identifier",
        "workgroup-name",
    )
)
# Ways in which the hook gets a password from a cloud; libpq has none.
_LOGINS = ("iam", "redshift", "redshift-serverless")
# Statements and COPY are written in UTF-8, whatever client_encoding says.
_OURS = {"client_encoding": "UTF8"}


def build_dsn(connection: Connection) -> str:
    """Return the connection string of a connection, which holds its password.

    Every parameter of libpq may be in the extra; ``~`` is expanded in names of files.

    :param connection: one that ``hooks.connections`` has resolved.
    :raises ConfigurationError: a field is invalid, or libpq has no parameter of a name in the extra.
    :raises ImportError: psycopg 3 is not installed.
    """
    from psycopg import ProgrammingError, pq  # noqa: PLC0415 - an extra of the package
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415 - as above

    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    host, port = _server(connection)
    parameters: dict[str, Any] = {
        "host": host,
        "port": port,
        "user": connection.login,
        "password": connection.password,
        "dbname": connection.schema,
    }
    for name, value in connection.extra_dejson.items():
        if value is None or value == "" or name in _FOR_THE_HOOK:
            continue
        if name in _LOGINS:
            if value in (False, "false", "False", 0):
                continue
            raise ConfigurationError(
                f"Connection {connection.conn_id!r} has {name!r} in its extra: this package cannot get passwords "
                "from a cloud. Use a login with a password or a certificate."
            )
        if name not in known:
            raise ConfigurationError(
                f"Connection {connection.conn_id!r} has {name!r} in its extra, which libpq does not know. Correct the "
                "name, or remove it."
            )
        if isinstance(value, (list, dict)) or "\0" in str(value):
            raise ConfigurationError(
                f"{name!r} in the extra of connection {connection.conn_id!r} is not a text or a number, which is what "
                "parameters of libpq are."
            )
        # As in PostgresHook, the extra comes before the fields.
        parameters[name] = _value(name, value)
    given = {name: value for name, value in parameters.items() if value not in (None, "")}
    try:
        return make_conninfo(**{**given, **_OURS})
    except ProgrammingError as error:
        raise ConfigurationError(
            f"A field of connection {connection.conn_id!r} cannot be used by libpq: {str(error).strip()}."
        ) from None


def _server(connection: Connection) -> tuple[str | None, str | int | None]:
    """Return host and port, with commas between those of several servers."""
    hosts = (connection.host or "").split(",")
    if len(hosts) == 1:
        return split_host(connection)
    pairs = [split_host(with_fields(connection, host=host.strip())) for host in hosts]
    return ",".join(host or "" for host, _ in pairs), ",".join("" if port is None else str(port) for _, port in pairs)


def _value(name: str, value: Any) -> Any:
    if isinstance(value, bool):
        # libpq's own flags are 0 and 1.
        return int(value)
    is_file = (name.startswith("ssl") and name not in ("sslmode", "sslpassword")) or name == "passfile"
    return str(Path(value).expanduser()) if is_file and isinstance(value, str) and value.startswith("~") else value
