"""Builds the table store of a ClickHouse connection; the hook of Apache's provider opens the client."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow_provider_toggl.core.arguments import is_blank, parse_flag, parse_text, parse_whole
from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.hooks.connections import split_host, with_fields

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection
    from clickhouse_connect.driver.client import Client

    from airflow_provider_toggl.core.load.engines.clickhouse.store import ClickhouseStore

_FIELDS: dict[str, Callable[[str, Any], Any]] = {
    "secure": parse_flag,
    "verify": parse_flag,
    "connect_timeout": parse_whole,
    "send_receive_timeout": parse_whole,
    "client_name": parse_text,
}
_OTHERS = frozenset(("compress", "session_settings", "client_kwargs"))
_CLIENT_KWARGS = frozenset(
    (
        *("ca_cert", "client_cert", "client_cert_key", "tls_mode", "server_host_name", "http_proxy", "https_proxy"),
        *("proxy_path", "headers", "query_retries"),
    )
)
"""Arguments of the client that ``client_kwargs`` may have."""
_HARMFUL_SETTINGS = frozenset(
    ("additional_result_filter", "additional_table_filters", "dialect", "limit", "offset", "readonly")
)
"""Settings of a session with which results would lack rows, or nothing could be written."""
_NATIVE_PORTS = (9000, 9440)


def build_store(connection: Connection, schema: str) -> ClickhouseStore:
    """Return the store behind a connection of type ``clickhouse``; nothing is opened yet.

    Fields and their meaning are those of ``ClickHouseHook`` of apache-airflow-providers-clickhousedb.

    :param schema: the database of the tables.
    :raises ConfigurationError: the provider is not installed, or a field is unknown, invalid or must not be set.
    """
    from airflow_provider_toggl.core.load.engines.clickhouse.store import ClickhouseStore  # noqa: PLC0415 - loads pyarrow

    host, port = split_host(connection)
    connection = with_fields(connection, host=host, port=port)
    extra = _read_extra(connection)
    where = f"ClickHouse of connection {connection.conn_id!r}, schema {schema!r}"
    return ClickhouseStore(_build_connect(with_fields(connection, extra=json.dumps(extra))), schema, where)


def _build_connect(connection: Connection) -> Callable[[], Client]:
    """Return how to open a client with the provider's hook."""
    try:
        from airflow.providers.clickhousedb.hooks.clickhouse import ClickHouseHook  # noqa: PLC0415 - optional
        from clickhouse_connect.driver.exceptions import ProgrammingError  # noqa: PLC0415 - optional
    except ImportError as missing:
        raise ConfigurationError(
            f"Loading into ClickHouse needs Apache's provider for it ({missing}): "
            "pip install 'airflow-provider-toggl[clickhouse]'."
        ) from None
    # Without a session, which one server holds, a read can be repeated on any server. A limit of 0 means none.
    hook = ClickHouseHook(
        clickhouse_conn_id=connection.conn_id, client_kwargs={"autogenerate_session_id": False, "query_limit": 0}
    )
    # The hook would read the connection again, without what was changed here.
    hook.get_connection = lambda _: connection

    def connect() -> Client:
        try:
            client: Client = hook.get_client()
        except (ProgrammingError, OSError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"Connection {connection.conn_id!r} cannot be opened: {error}. Correct what it names; "
                f"`airflow toggl doctor --warehouse-conn-id {connection.conn_id}` tries it."
            ) from None
        return client

    return connect


def _read_extra(connection: Connection) -> dict[str, Any]:
    """Return the fields of the extra, parsed.

    :raises ConfigurationError: the port or a field must not be set, or not to this value.
    """
    name = connection.conn_id
    if connection.port in _NATIVE_PORTS:
        raise ConfigurationError(
            f"Connection {name!r} has port {connection.port}, which is that of ClickHouse's own protocol. Set the port "
            "of its HTTP interface: 8123, or 8443 with TLS."
        )
    extra = {key: value for key, value in connection.extra_dejson.items() if not is_blank(value)}
    unknown = sorted(extra.keys() - _FIELDS.keys() - _OTHERS)
    if unknown:
        raise ConfigurationError(
            f"The extra of connection {name!r} has {', '.join(map(repr, unknown))}, which a ClickHouse connection does "
            "not have. Correct the name, remove it, or put a setting of ClickHouse into session_settings."
        )
    read = {
        key: parse(f"{key} in the extra of connection {name!r}", extra[key])
        for key, parse in _FIELDS.items()
        if key in extra
    }
    if read.get("secure") and not connection.port:
        raise ConfigurationError(
            f"Connection {name!r} has secure in its extra and no port. Apache's provider would use 8123, where servers "
            "answer without TLS: set the port, which is 8443 unless the server's administrator chose another one."
        )
    if "compress" in extra:
        read["compress"] = extra["compress"]
    _read_object(name, "client_kwargs", extra, read)
    _read_object(name, "session_settings", extra, read)
    refused = sorted(read.get("client_kwargs", {}).keys() - _CLIENT_KWARGS)
    if refused:
        raise ConfigurationError(
            f"client_kwargs in the extra of connection {name!r} has {', '.join(map(repr, refused))}. A warehouse's "
            f"connection may have only {', '.join(sorted(_CLIENT_KWARGS))}. Host, login and TLS have their own fields."
        )
    settings = read.get("session_settings", {})
    harmful = sorted(
        key
        for key, value in settings.items()
        if key in _HARMFUL_SETTINGS or (key.endswith("_overflow_mode") and str(value) != "throw")
    )
    if harmful:
        raise ConfigurationError(
            f"session_settings in the extra of connection {name!r} has {', '.join(map(repr, harmful))}, with which "
            "results would lack rows or nothing could be written. Remove it, or use another connection for loading."
        )
    return read


def _read_object(conn_id: str | None, key: str, extra: dict[str, Any], read: dict[str, Any]) -> None:
    """Read a field that is a JSON object, or a text with one as the connection's form has it."""
    if key not in extra:
        return
    value = extra[key]
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, dict):
        # The value is not shown, because it may contain a secret.
        raise ConfigurationError(f"{key} in the extra of connection {conn_id!r} must be a JSON object.")
    read[key] = value
