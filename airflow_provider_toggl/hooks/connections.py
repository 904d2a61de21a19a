"""Airflow connections of Toggl, warehouses and event stores: look them up, and check and read their fields."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook
from airflow.sdk.log import mask_secret

from airflow_provider_toggl.core.arguments import parse_file
from airflow_provider_toggl.core.client.addresses import check_callback_url
from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.hooks.settings import TogglFields

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

TOGGL = "toggl"
DEFAULT_TOGGL_CONN_ID = "toggl_default"
"""The Toggl connection that operators use where a DAG names none."""
POSTGRES_TYPES = ("postgres", "postgresql")


class ConnectionNotFound(ConfigurationError, AirflowNotFoundException):
    """Airflow has no connection with that ID, or cannot read it."""


def get_connection(conn_id: str | None, *, parameter: str) -> Connection:
    """Return a connection, without whitespace around its fields.

    :param conn_id: its ID.
    :param parameter: name of the parameter that has the ID, for error messages: ``toggl_conn_id``, for example.
    :raises ConfigurationError: the ID is blank, the connection does not exist, or its extra is not a JSON object.
    """
    if not isinstance(conn_id, str) or not conn_id.strip():
        raise ConfigurationError(f"{parameter} is {conn_id!r}; it must be the ID of a connection.")
    conn_id = conn_id.strip()
    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise ConnectionNotFound(
            f"There is no connection {conn_id!r} ({parameter}), or Airflow cannot read it. `airflow connections list` "
            f"shows those in its database; one in AIRFLOW_CONN_{conn_id.upper()} must be a URI or a JSON object with "
            "conn_type, host, port, login, password, schema and extra. All but port and extra must be strings. "
            "Percent-encode special characters in a URI."
        ) from None
    return _clean(connection, conn_id)


def find_connection(conn_id: str, *, parameter: str) -> Connection | None:
    """Return a connection as :func:`get_connection` does, or None if it does not exist."""
    try:
        return get_connection(conn_id, parameter=parameter)
    except ConnectionNotFound:
        return None


def get_toggl_connection(conn_id: str | None) -> Connection:
    """Return a connection of type ``toggl``.

    :raises ConfigurationError: the connection does not exist, or has another type.
    """
    connection = get_connection(conn_id, parameter="toggl_conn_id")
    if connection.conn_type != TOGGL:
        raise build_wrong_type_error(connection, "toggl_conn_id", "a connection of type 'toggl' (Toggl Track)")
    return connection


def get_toggl_fields(conn_id: str | None) -> TogglFields:
    """Return the extra fields of a Toggl connection.

    :raises ConfigurationError: the connection does not exist, or has another type.
    """
    connection = get_toggl_connection(conn_id)
    return TogglFields(connection.conn_id, connection.extra_dejson)


def get_webhook_secret(toggl_conn_id: str) -> str:
    """Return the secret that Toggl signs the connection's deliveries with.

    :raises ConfigurationError: there is none.
    """
    secret = get_toggl_fields(toggl_conn_id).webhook_secret
    if not secret:
        raise ConfigurationError(
            f"Connection {toggl_conn_id!r} has no webhook secret: put a long random text into webhook_secret of its "
            "extra. Toggl sends a PING while it creates the subscription, so the receiver must know the secret before."
        )
    return secret


def get_callback_url(toggl_conn_id: str, callback_url: str | None = None) -> str:
    """Return the URL that Toggl delivers to. A URL without a path gets the receiver's path.

    :param callback_url: by default the connection's.
    :raises ConfigurationError: there is none, or it must not be used.
    """
    fields = get_toggl_fields(toggl_conn_id)
    url = str(callback_url or "").strip() or fields.webhook_callback_url
    if not url:
        raise ConfigurationError(
            f"There is no callback: set webhook_callback_url in the extra of connection {toggl_conn_id!r}, or "
            "callback_url in the task, to the public address of the receiver."
        )
    default_path = f"/toggl/webhooks/{toggl_conn_id}"
    return check_callback_url(url, default_path=default_path, allow_plain_http=fields.allow_plain_http)


def build_wrong_type_error(connection: Connection, parameter: str, wanted: str) -> ConfigurationError:
    """Return the error for a connection of the wrong type.

    :param parameter: name of the parameter that has the connection's ID.
    :param wanted: the type that it needs, in words.
    """
    kind = f"is of type {connection.conn_type!r}" if connection.conn_type else "has no type"
    return ConfigurationError(f"Connection {connection.conn_id!r} {kind}; {parameter} needs {wanted}.")


def database_file(connection: Connection, engine: str, *, suffixes: tuple[str, ...]) -> Path:
    """Return the file of a connection to DuckDB or SQLite.

    :param engine: the engine's name, for error messages.
    :param suffixes: a schema that ends in one of these, or contains a slash, is the path: a URI such as
        ``duckdb:///folder/file.duckdb`` puts it there.
    :raises ConfigurationError: it has no file, or the value is not a file of this host.
    """
    name = connection.conn_id
    host, schema = connection.host or "", connection.schema or ""
    if not host and ("/" in schema or schema.endswith(suffixes)):
        host = schema if schema.startswith("~") else f"/{schema.lstrip('/')}"
    path = parse_database_file(f"The host of connection {name!r}", host, engine)
    if path is None:
        raise ConfigurationError(f"Connection {name!r} names no file: put the path of the {engine} file into its host.")
    if str(connection.extra_dejson.get("mode")) == "memory" or connection.extra_dejson.get("vfs") == "memdb":
        raise ConfigurationError(
            f"The extra of connection {name!r} asks for a database in memory, which is lost at the end of each task: "
            "remove mode and vfs."
        )
    return path


def parse_database_file(field: str, value: Any, engine: str) -> Path | None:
    """Return the file that a field of a connection names, None if it is blank.

    :param field: how errors name the field.
    :param engine: the engine's name, for error messages.
    :raises ConfigurationError: the value is not a file of this host.
    """
    path = parse_file(field, value)
    if path is not None and (path.is_dir() or str(value).endswith("/")):
        raise ConfigurationError(f"{field} is the folder {str(path)!r}: put the path of a {engine} file there.")
    return path


def split_host(connection: Connection) -> tuple[str | None, int | None]:
    """Return host and port of a database server: ``db``, ``db:5433``, ``::1`` or ``[::1]:5433``, or a socket's folder.

    :raises ConfigurationError: the host is a URL, or its port is invalid or differs from the connection's port.
    """
    name, host, port = connection.conn_id, connection.host, connection.port
    if port is not None and not 1 <= port <= 65535:
        raise ConfigurationError(f"The port of connection {name!r} is {port}; it must be from 1 to 65535, or empty.")
    if not host or host.startswith(("/", "@")):
        return host or None, port
    if "://" in host:
        # The URL is not shown, because it may contain a password.
        raise ConfigurationError(
            f"The host of connection {name!r} is a URL: put the server's name alone there, and port, login, password "
            "and database into fields of their own."
        )
    if re.search(r"[\s/]", host):
        raise ConfigurationError(
            f"The host of connection {name!r} is {host!r}; it must be the name or address of a server, without blanks "
            "and slashes."
        )
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(.*))?", host)
    if bracketed:
        host, own_port = bracketed[1], bracketed[2]
    elif host.count(":") == 1:
        host, own_port = host.split(":")
    else:
        own_port = None
    if own_port is None:
        return host, port
    if not (own_port.isascii() and own_port.isdigit() and 1 <= int(own_port) <= 65535):
        raise ConfigurationError(
            f"The host of connection {name!r} ends in port {own_port!r}; a port is a number from 1 to 65535."
        )
    if port not in (None, int(own_port)):
        raise ConfigurationError(
            f"Connection {name!r} has two ports: {own_port} in its host and {port} in its port. Remove one."
        )
    return host, int(own_port)


def with_fields(connection: Connection, **fields: Any) -> Connection:
    """Return a copy of a connection with some of its fields changed."""
    from airflow.providers.common.compat.sdk import Connection  # noqa: PLC0415 - slow to import

    known = {
        name: getattr(connection, name)
        for name in ("conn_id", "conn_type", "host", "schema", "login", "password", "port", "extra")
    }
    return Connection(**{**known, **fields})


def _clean(connection: Connection, conn_id: str) -> Connection:
    conn_type = (_text(connection.conn_type) or "").lower() or None
    password = None if connection.password is None else str(connection.password)
    if password is not None:
        # A line end comes from a file or from echo. Other whitespace may be part of a database password.
        stripped = password.strip() if conn_type == TOGGL else password.strip("\r\n")
        if stripped and stripped != password:
            mask_secret(stripped)
        password = stripped or None
    return with_fields(
        connection,
        conn_id=conn_id,
        conn_type=conn_type,
        host=_text(connection.host),
        schema=_text(connection.schema),
        login=_text(connection.login),
        password=password,
        # Airflow's form sends 0 for an empty field.
        port=connection.port or None,
        extra=_checked_extra(connection, conn_id),
    )


def _text(value: Any) -> str | None:
    return (str(value).strip() or None) if value is not None else None


def _checked_extra(connection: Connection, conn_id: str) -> str | None:
    """Return the extra. Airflow itself only logs when it is not a JSON object."""
    fields = [connection.host, connection.schema, connection.login, connection.password]
    if any("\0" in str(field) for field in fields):
        # C libraries would cut the value there.
        raise ConfigurationError(f"A field of connection {conn_id!r} contains a NUL character: enter it again.")
    text = connection.extra
    try:
        decoded = json.loads(text) if text and text.strip() else {}
    except ValueError:
        decoded = None
    if not isinstance(decoded, dict):
        raise ConfigurationError(
            f'The extra of connection {conn_id!r} is not a JSON object, such as {{"workspace_id": 1}}.'
        )
    return text or None
