"""Connects to MySQL and MariaDB without Apache's MySQL provider, whose ``mysqlclient`` needs a compiler."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from airflow_provider_toggl.core.errors import ConfigurationError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

CONNECTION_TYPES = ("mysql", "mariadb")
#: The value of ``client`` in a connection's extra, as Apache's provider has it.
CLIENT = "mysql-connector-python"


def is_provider_installed(connection_type: str) -> bool:
    """Return whether Apache's provider of a connection type is installed; its hook is used then."""
    try:
        return find_spec(f"airflow.providers.{connection_type}") is not None
    except ModuleNotFoundError:
        return False


def connect(connection: Connection) -> Any:
    """Open a connection with mysql-connector-python.

    Extra fields are options of ``mysql.connector.connect``, such as ``ssl_ca``.

    :raises ConfigurationError: the driver is not installed, or does not know an option in the extra.
    """
    extra = {name: value for name, value in connection.extra_dejson.items() if value not in (None, "")}
    client = extra.pop("client", CLIENT)
    if client != CLIENT:
        raise ConfigurationError(
            f"Connection {connection.conn_id!r} asks for the client {client!r}, which comes with "
            f"apache-airflow-providers-mysql: install it, or set client to {CLIENT!r} in the extra."
        )
    try:
        import mysql.connector as driver  # noqa: PLC0415 - of an extra
    except ImportError:
        raise ConfigurationError(
            f"Connection {connection.conn_id!r} needs mysql-connector-python: "
            "pip install 'airflow-provider-toggl[mysql]'."
        ) from None
    options = {
        "host": connection.host or "localhost",
        "port": connection.port or 3306,
        "user": connection.login,
        "password": connection.password or "",
        "database": connection.schema or "",
    }
    try:
        return driver.connect(**options, **extra)
    except (AttributeError, TypeError) as error:
        # The driver's own words: "Unsupported argument 'ssl_mode'".
        raise ConfigurationError(
            f"The extra of connection {connection.conn_id!r} has an option that {CLIENT} does not take: {error}."
        ) from None
