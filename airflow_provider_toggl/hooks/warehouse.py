"""The Airflow connection that rows land in, and the engine that it stands for."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from airflow.providers.common.compat.sdk import AirflowException

from airflow_provider_toggl.core.arguments import (
    parse_conn_id,
    parse_flag,
    parse_seconds,
    parse_text,
    parse_time_zone,
    required,
)
from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.hooks import mysql, settings, telemetry
from airflow_provider_toggl.hooks.connections import (
    ConnectionNotFound,
    build_wrong_type_error,
    database_file,
    get_connection,
    split_host,
    with_fields,
)
from airflow_provider_toggl.hooks.libpq import build_dsn
from airflow_provider_toggl.hooks.toggl import DataFrameType, to_data_frame

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_toggl.core.load.sql_target import SqlTarget
    from airflow_provider_toggl.core.load.target import Target

DEFAULT_CONN_ID = "duckdb_default"


_ENGINES = {"sqlite": "sqlite", "mysql": "mysql", "mariadb": "mysql"}
"""The dialects of connection types that are reached by their hook; others get standard SQL."""


def open_target(
    conn_id: str,
    *,
    schema: str,
    facts_timezone: str | None = None,
    keep_history: bool | None = None,
    lock_timeout: float | None = None,
) -> Target:
    """Return the warehouse behind an Airflow connection, its tables made where they are missing.

    :param conn_id: a connection of type ``duckdb`` (host: the file), ``postgres``, or any that has a ``DbApiHook``,
        such as ``sqlite`` or ``mysql``. ``duckdb_default`` may be missing: then the file is ``[toggl] warehouse_path``,
        below Airflow's home.
    :param schema: the schema of the tables; a database in MySQL.
    :param facts_timezone: IANA name of the zone of local dates in ``time_entry_facts``; None leaves it as it is, which
        is UTC at first.
    :param keep_history: whether versions of time entries are kept from now on, by whoever lands; None leaves it as it
        is.
    :param lock_timeout: seconds to wait while another process writes; ``[toggl] warehouse_lock_timeout`` by default.
    :raises ConfigurationError: there is no such connection, it is of a type that nothing here can land in, or a package
        is missing.
    :raises WarehouseError: it cannot be reached, written or waited for any longer.
    """
    conn_id, schema = parse_conn_id("warehouse_conn_id", conn_id), required(parse_text)("schema", schema)
    facts_timezone = parse_time_zone("facts_timezone", facts_timezone)
    keep_history, lock_timeout = parse_flag("keep_history", keep_history), parse_seconds("lock_timeout", lock_timeout)
    telemetry.connect()
    if lock_timeout is None:
        lock_timeout = settings.warehouse_lock_timeout()
    target = build_target(conn_id, schema, lock_timeout)
    try:
        target.prepare(facts_timezone)
        if keep_history is not None:
            target.keep_history(keep_history)
    except BaseException:
        target.close()
        raise
    return target


def resolve_keep_history(asked: bool | None) -> bool | None:
    """Return whether a task that lands switches history on or off: as it says, or on by ``[toggl] keep_history``.

    None leaves it as it is.
    """
    if asked is None and settings.keep_history():
        return True
    return asked


def build_target(conn_id: str, schema: str, lock_timeout: float) -> SqlTarget:
    """Return the warehouse behind an Airflow connection; nothing is opened or made yet.

    :param lock_timeout: seconds to wait for others.
    :raises ConfigurationError: there is no such connection, it is of a type that nothing here can land in, or a package
        is missing.
    """
    try:
        connection = get_connection(conn_id, parameter="warehouse_conn_id")
    except ConnectionNotFound:
        if conn_id.strip() == DEFAULT_CONN_ID:
            return _duckdb_target(default_path(), schema, lock_timeout)
        raise
    type_ = str(connection.conn_type)
    if type_ == "duckdb":
        return _duckdb_target(_duckdb_path(connection), schema, lock_timeout)
    if type_ in ("postgres", "postgresql"):
        return _postgres_target(connection, schema, lock_timeout)
    if type_ == "sqlite":
        return _sqlite_target(connection, schema, lock_timeout)
    if type_ in _ENGINES:
        host, port = split_host(connection)
        connection = with_fields(connection, host=host, port=port)
    if type_ in mysql.CONNECTION_TYPES and not mysql.is_provider_installed(type_):
        return _mysql_target(connection, schema, lock_timeout)
    return _dbapi_target(connection, schema, lock_timeout)


# Targets are imported here: they are heavy, and importing an operator must not load them.


def _duckdb_target(path: Path, schema: str, lock_timeout: float) -> SqlTarget:
    from airflow_provider_toggl.core.load.duckdb_target import DuckdbTarget  # noqa: PLC0415 - see above

    return DuckdbTarget(path, schema=schema, lock_timeout=lock_timeout)


def _postgres_target(connection: Connection, schema: str, lock_timeout: float) -> SqlTarget:
    try:
        from airflow_provider_toggl.core.load.postgres_target import PostgresTarget  # noqa: PLC0415 - see above

        dsn = build_dsn(connection)
    except ImportError as missing:
        raise ConfigurationError(
            f"Landing in PostgreSQL needs psycopg 3 ({missing}): pip install 'airflow-provider-toggl[postgres]'."
        ) from None
    return PostgresTarget(dsn, schema=schema, lock_timeout=lock_timeout)


def _mysql_target(connection: Connection, schema: str, lock_timeout: float) -> SqlTarget:
    from airflow_provider_toggl.core.load.dbapi_target import DbApi, DbApiTarget  # noqa: PLC0415 - see above

    where = f"Connection {connection.conn_id!r} of type {connection.conn_type!r}, schema {schema!r}"
    return DbApiTarget(
        DbApi(lambda: mysql.connect(connection), "%s", "mysql", where), schema=schema, lock_timeout=lock_timeout
    )


def _sqlite_target(connection: Connection, schema: str, lock_timeout: float) -> SqlTarget:
    from airflow_provider_toggl.core.load.dbapi_target import DbApi, DbApiTarget  # noqa: PLC0415 - see above

    path = database_file(connection, "SQLite", suffixes=(".sqlite", ".db"))
    # As in Airflow's SqliteHook, which takes a % in a file's name for the begin of an escaped character.
    uri = f"file:{quote(str(path.absolute()))}?{urlencode(connection.extra_dejson)}"
    where = f"Connection {connection.conn_id!r} of type 'sqlite', schema {schema!r}"

    def connect() -> sqlite3.Connection:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
        return sqlite3.connect(uri, uri=True)

    api = DbApi(connect, "?", "sqlite", where)
    return DbApiTarget(api, schema=schema, lock_timeout=lock_timeout)


def _dbapi_target(connection: Connection, schema: str, lock_timeout: float) -> SqlTarget:
    from airflow_provider_toggl.core.load.dbapi_target import DbApi, DbApiTarget  # noqa: PLC0415 - see above

    conn_id, type_ = connection.conn_id, str(connection.conn_type)
    hook = _hook_of(connection)

    def connect() -> Any:
        try:
            return hook.get_conn()
        except (AirflowException, ImportError, RuntimeError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"Connection {conn_id!r} of type {type_!r} cannot be opened: {error}. Correct what it names; "
                f"`airflow toggl doctor --warehouse-conn-id {conn_id}` tries it."
            ) from None

    where = f"Connection {conn_id!r} of type {type_!r}, schema {schema!r}"
    api = DbApi(connect, hook.placeholder, _ENGINES.get(type_, "ansi"), where)
    return DbApiTarget(api, schema=schema, lock_timeout=lock_timeout)


def _hook_of(connection: Connection) -> Any:
    """Return the hook of a connection, which uses the connection as it is given here.

    :raises ConfigurationError: the provider of its type is not installed, or the type is no SQL database.
    """
    from airflow.providers.common.sql.hooks.sql import DbApiHook  # noqa: PLC0415 - see above

    name, type_ = connection.conn_id, connection.conn_type
    wanted = "a SQL database: duckdb, postgres, sqlite, mysql, or a type whose hook is a DbApiHook"
    if not type_:
        raise build_wrong_type_error(connection, "warehouse_conn_id", wanted)
    try:
        hook: Any = connection.get_hook()  # type: ignore[no-untyped-call]
    # Airflow raises AttributeError for a type that is known without a hook.
    except (AirflowException, ImportError, AttributeError) as error:
        package = (
            f"airflow-provider-toggl[{_ENGINES[type_]}]"
            if type_ in _ENGINES
            else f"apache-airflow-providers-{type_.replace('_', '-')}"
        )
        reason = "" if isinstance(error, AttributeError) else f" ({error})"
        support = (
            ""
            if type_ in _ENGINES
            else (" Loading is tested with DuckDB, PostgreSQL, SQLite, MySQL and MariaDB, and not with this type.")
        )
        raise ConfigurationError(
            f"Connection {name!r} is of type {type_!r}, and no hook for it is installed{reason}: install the provider "
            f"of that type, which may be {package}.{support}"
        ) from None
    if not isinstance(hook, DbApiHook):
        raise build_wrong_type_error(connection, "warehouse_conn_id", wanted)
    look_up = hook.get_connection
    # The hook would look it up again, as it was before its fields were read.
    hook.get_connection = lambda conn_id: connection if conn_id == name else look_up(conn_id)
    return hook


def _duckdb_path(connection: Connection) -> Path:
    """Return the file of a DuckDB connection.

    :raises ConfigurationError: it names none. A password is MotherDuck's token to Airflow's DuckDB provider.
    """
    if connection.password:
        raise ConfigurationError(
            f"Connection {connection.conn_id!r} has a password, so it is one to MotherDuck, where nothing can be "
            "landed: remove the password and put the path of a DuckDB file into its host."
        )
    return database_file(connection, "DuckDB", suffixes=(".duckdb", ".db"))


def default_path() -> Path:
    """Return the file that is used where no DuckDB connection exists (``[toggl] warehouse_path``)."""
    return settings.warehouse_path()


def read_df(
    query: str,
    *,
    warehouse_conn_id: str = DEFAULT_CONN_ID,
    schema: str = "toggl",
    parameters: Sequence[Any] = (),
    df_type: DataFrameType = "pandas",
) -> Any:
    """Return what a query finds in the warehouse as a data frame.

    Waits while a task lands, as another landing would. Names without a schema are looked up in ``schema``.

    :param parameters: values for the query's ``?``.
    :param df_type: ``pandas``, ``polars`` (must be installed) or ``arrow`` (a ``pyarrow.Table``).
    :raises WarehouseLocked: the warehouse stayed locked for ``[toggl] warehouse_lock_timeout`` seconds.
    """
    with open_target(warehouse_conn_id, schema=schema) as target:
        return to_data_frame(target.query(query, parameters), df_type)
