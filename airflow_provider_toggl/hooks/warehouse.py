"""Opens the warehouse behind an Airflow connection, with the engine of its type."""

from __future__ import annotations

import importlib
import logging
import sqlite3
from collections.abc import Callable, Iterable, Sequence
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
from airflow_provider_toggl.core.lineage import DatasetName
from airflow_provider_toggl.core.load.engines.duckdb.options import NO_OPTIONS, DuckdbOptions
from airflow_provider_toggl.core.load.tables.reads import find_tables_read
from airflow_provider_toggl.hooks import lineage, mysql, settings, telemetry
from airflow_provider_toggl.hooks.connections import (
    POSTGRES_TYPES,
    ConnectionNotFound,
    build_wrong_type_error,
    database_file,
    get_connection,
    split_host,
    with_fields,
)
from airflow_provider_toggl.hooks.duckdb import parse_duckdb
from airflow_provider_toggl.hooks.hosts import check_local_file
from airflow_provider_toggl.hooks.libpq import build_dsn
from airflow_provider_toggl.hooks.refused import check_type
from airflow_provider_toggl.hooks.toggl import DataFrameType, to_data_frame

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_toggl.core.load.engines.dbapi.engine import DbApiEngine
    from airflow_provider_toggl.core.load.engines.table_store.contract import TableStore
    from airflow_provider_toggl.core.load.warehouse import Warehouse

log = logging.getLogger(__name__)

DEFAULT_CONN_ID = "duckdb_default"

_EXTRAS = {"sqlite": "sqlite", "mysql": "mysql", "mariadb": "mysql"}
"""The extra of this package that installs the provider of a connection type."""

_TABLE_STORES: dict[str, str] = {
    "clickhouse": "clickhouse",
    "gcpbigquery": "bigquery",
    "google_cloud_platform": "bigquery",
    "iceberg": "iceberg",
    "snowflake": "snowflake",
}
"""The module of ``hooks`` that builds the table store of a connection type, by ``build_store(connection, schema)``."""


def open_warehouse(
    conn_id: str,
    *,
    schema: str,
    facts_timezone: str | None = None,
    keep_history: bool | None = None,
    lock_timeout: float | None = None,
) -> Warehouse:
    """Return the warehouse behind an Airflow connection; its tables are created if they are missing.

    :param conn_id: a connection of type ``duckdb`` (host: the file), ``postgres``, ``iceberg``, ``snowflake``,
        ``gcpbigquery``, ``clickhouse``, or any that has a ``DbApiHook``, such as ``sqlite`` or ``mysql``.
        ``duckdb_default`` may be missing: then the file is ``[toggl] warehouse_path``, below Airflow's home.
    :param schema: the schema of the tables; a database in MySQL and ClickHouse, a dataset in BigQuery, a namespace in
        Iceberg.
    :param facts_timezone: IANA name of the zone of local dates in ``time_entry_facts``; None leaves it as it is, which
        is UTC at first.
    :param keep_history: whether versions of time entries are kept from now on, by every load; None leaves it as it is.
    :param lock_timeout: seconds to wait while another process writes; ``[toggl] warehouse_lock_timeout`` by default.
    :raises ConfigurationError: there is no such connection, its type cannot be loaded into, or a package is missing.
    :raises WarehouseError: it cannot be reached or written, or stayed locked for too long.
    """
    conn_id, schema = parse_conn_id("warehouse_conn_id", conn_id), required(parse_text)("schema", schema)
    facts_timezone = parse_time_zone("facts_timezone", facts_timezone)
    keep_history, lock_timeout = parse_flag("keep_history", keep_history), parse_seconds("lock_timeout", lock_timeout)
    telemetry.connect()
    if lock_timeout is None:
        lock_timeout = settings.warehouse_lock_timeout()
    warehouse = build_warehouse(conn_id, schema, lock_timeout)
    try:
        warehouse.prepare(facts_timezone)
        if keep_history is not None:
            warehouse.keep_history(keep_history)
    except BaseException:
        warehouse.close()
        raise
    return warehouse


def resolve_keep_history(asked: bool | None) -> bool | None:
    """Return whether a loading task switches history on or off: as it asks, or on by ``[toggl] keep_history``.

    None leaves it as it is.
    """
    if asked is None and settings.keep_history():
        return True
    return asked


def build_warehouse(conn_id: str, schema: str, lock_timeout: float) -> Warehouse:
    """Return the warehouse behind an Airflow connection; nothing is opened or created yet.

    :param lock_timeout: seconds to wait while another process writes.
    :raises ConfigurationError: there is no such connection, its type cannot be loaded into, or a package is missing.
    """
    try:
        connection = get_connection(conn_id, parameter="warehouse_conn_id")
    except ConnectionNotFound:
        if conn_id.strip() == DEFAULT_CONN_ID:
            check_local_file(
                "rows of the warehouse",
                settings.warehouse_path(),
                f"Create connection {DEFAULT_CONN_ID!r} to a database that all hosts reach.",
            )
            return _build_duckdb(settings.warehouse_path(), schema, lock_timeout)
        raise
    type_ = str(connection.conn_type)
    if type_ == "duckdb":
        path, options = parse_duckdb(connection)
        return _build_duckdb(path, schema, lock_timeout, options)
    if type_ in POSTGRES_TYPES:
        return _build_postgres(connection, schema, lock_timeout)
    if type_ in _TABLE_STORES:
        return _build_table_store(connection, schema, lock_timeout)
    return _build_dbapi(connection, schema, lock_timeout)


# Engines are imported where they are built: they load DuckDB or pyarrow, and importing an operator must not.


def _build_duckdb(path: Path, schema: str, lock_timeout: float, options: DuckdbOptions = NO_OPTIONS) -> Warehouse:
    from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse  # noqa: PLC0415 - see above

    return build_duckdb_warehouse(path, schema=schema, lock_timeout=lock_timeout, options=options)


def _build_postgres(connection: Connection, schema: str, lock_timeout: float) -> Warehouse:
    try:
        from airflow_provider_toggl.core.load.engines.postgres.engine import build_postgres_warehouse  # noqa: PLC0415 - see above

        dsn = build_dsn(connection)
    except ImportError as missing:
        raise ConfigurationError(
            f"Loading into PostgreSQL needs psycopg 3 ({missing}): pip install 'airflow-provider-toggl[postgres]'."
        ) from None
    return build_postgres_warehouse(dsn, schema=schema, lock_timeout=lock_timeout)


def _build_table_store(connection: Connection, schema: str, lock_timeout: float) -> Warehouse:
    from airflow_provider_toggl.core.load.engines.table_store.engine import TableStoreEngine  # noqa: PLC0415 - see above
    from airflow_provider_toggl.core.load.warehouse import Warehouse  # noqa: PLC0415 - see above

    module = importlib.import_module(f"airflow_provider_toggl.hooks.{_TABLE_STORES[str(connection.conn_type)]}")
    store: TableStore = module.build_store(connection, schema)
    return Warehouse(TableStoreEngine(store, lock_timeout=lock_timeout))


def _build_dbapi(connection: Connection, schema: str, lock_timeout: float) -> Warehouse:
    check_type(connection)
    from airflow_provider_toggl.core.load.engines.dbapi.ansi import AnsiEngine  # noqa: PLC0415 - see above
    from airflow_provider_toggl.core.load.engines.dbapi.engine import DbApi  # noqa: PLC0415 - see above
    from airflow_provider_toggl.core.load.engines.dbapi.mysql import MysqlEngine  # noqa: PLC0415 - see above
    from airflow_provider_toggl.core.load.engines.dbapi.sqlite import SqliteEngine  # noqa: PLC0415 - see above
    from airflow_provider_toggl.core.load.warehouse import Warehouse  # noqa: PLC0415 - see above

    type_ = str(connection.conn_type)
    where = f"Connection {connection.conn_id!r} of type {type_!r}, schema {schema!r}"
    engine: type[DbApiEngine] = AnsiEngine
    if type_ == "sqlite":
        engine, api = SqliteEngine, DbApi(_sqlite_connect(connection), "?", where)
    else:
        if type_ in mysql.CONNECTION_TYPES:
            engine = MysqlEngine
            host, port = split_host(connection)
            connection = with_fields(connection, host=host, port=port)
        if type_ in mysql.CONNECTION_TYPES and not mysql.is_provider_installed(type_):
            api = DbApi(lambda: mysql.connect(connection), "%s", where)
        else:
            hook = _hook_of(connection)
            api = DbApi(_hook_connect(connection, hook), hook.placeholder, where)
    return Warehouse(engine(api, schema=schema, lock_timeout=lock_timeout))


def _sqlite_connect(connection: Connection) -> Callable[[], Any]:
    """Return how to connect to the file of an SQLite connection."""
    path = database_file(connection, "SQLite", suffixes=(".sqlite", ".db"))
    # As in Airflow's SqliteHook, which takes a % in a file's name for the beginning of an escaped character.
    uri = f"file:{quote(str(path.absolute()))}?{urlencode(connection.extra_dejson)}"

    def connect() -> sqlite3.Connection:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
        return sqlite3.connect(uri, uri=True)

    return connect


def _hook_connect(connection: Connection, hook: Any) -> Callable[[], Any]:
    """Return how to connect with a connection's hook."""
    conn_id, type_ = connection.conn_id, connection.conn_type

    def connect() -> Any:
        try:
            return hook.get_conn()
        except (AirflowException, ImportError, RuntimeError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"Connection {conn_id!r} of type {type_!r} cannot be opened: {error}. Correct what it names; "
                f"`airflow toggl doctor --warehouse-conn-id {conn_id}` tries it."
            ) from None

    return connect


def _hook_of(connection: Connection) -> Any:
    """Return the hook of a connection, which uses this connection and does not read it again.

    :raises ConfigurationError: the provider of its type is not installed, or the type is no SQL database.
    """
    from airflow.providers.common.sql.hooks.sql import DbApiHook  # noqa: PLC0415 - see above

    name, type_ = connection.conn_id, connection.conn_type
    known = ", ".join(("duckdb", "postgres", *_EXTRAS, *_TABLE_STORES))
    wanted = f"one of: {known}; or a type whose hook is a DbApiHook"
    if not type_:
        raise build_wrong_type_error(connection, "warehouse_conn_id", wanted)
    try:
        hook: Any = connection.get_hook()  # type: ignore[no-untyped-call]
    # Airflow raises AttributeError for a known type without a hook.
    except (AirflowException, ImportError, AttributeError) as error:
        package = (
            f"airflow-provider-toggl[{_EXTRAS[type_]}]"
            if type_ in _EXTRAS
            else f"apache-airflow-providers-{type_.replace('_', '-')}"
        )
        reason = "" if isinstance(error, AttributeError) else f" ({error})"
        support = "" if type_ in _EXTRAS else f" Loading is tested with {known}, and not with this type."
        raise ConfigurationError(
            f"Connection {name!r} is of type {type_!r}, and no hook for it is installed{reason}: install the provider "
            f"of that type, which may be {package}.{support}"
        ) from None
    if not isinstance(hook, DbApiHook):
        raise build_wrong_type_error(connection, "warehouse_conn_id", wanted)
    look_up = hook.get_connection
    # The hook would read it again, without the fields that were changed here.
    hook.get_connection = lambda conn_id: connection if conn_id == name else look_up(conn_id)
    return hook


def read_df(
    query: str,
    *,
    warehouse_conn_id: str = DEFAULT_CONN_ID,
    schema: str = "toggl",
    parameters: Sequence[Any] = (),
    df_type: DataFrameType = "pandas",
) -> Any:
    """Return the result of a query in the warehouse as a data frame.

    A DuckDB file is waited for while a task loads into it. Names without a schema are those of ``schema``.

    :param parameters: values for the query's ``?``.
    :param df_type: ``pandas``, ``polars`` (must be installed) or ``arrow`` (a ``pyarrow.Table``).
    :raises WarehouseLocked: the warehouse stayed locked for ``[toggl] warehouse_lock_timeout`` seconds.
    """
    with open_warehouse(warehouse_conn_id, schema=schema) as warehouse:
        frame = to_data_frame(warehouse.query(query, parameters), df_type)
    report_tables_read(warehouse_conn_id, schema, find_tables_read(query, schema))
    return frame


def name_tables(conn_id: str, schema: str, tables: Iterable[str]) -> dict[str, DatasetName]:
    """Return the names of tables of a warehouse in OpenLineage; opens nothing.

    :param conn_id: as for :func:`open_warehouse`.
    :return: the name of each table; none if the type of the connection has no naming.
    :raises ConfigurationError: there is no such connection, or a field of it is invalid.
    """
    try:
        connection = get_connection(conn_id, parameter="warehouse_conn_id")
    except ConnectionNotFound:
        if conn_id.strip() != DEFAULT_CONN_ID:
            raise
        from airflow.providers.common.compat.sdk import Connection  # noqa: PLC0415 - slow to import

        connection = Connection(conn_id=DEFAULT_CONN_ID, conn_type="duckdb", host=str(settings.warehouse_path()))
    named = {table: lineage.name_table(connection, schema, table) for table in tables}
    return {table: name for table, name in named.items() if name is not None}


def report_tables_read(conn_id: str, schema: str, tables: Iterable[str]) -> None:
    """Report to Airflow's collector of lineage that the running task reads tables of a warehouse.

    Without a running task it does nothing. Lineage never makes a task fail.
    """
    if not lineage.has_running_task():
        return
    try:
        lineage.report_tables_read(name_tables(conn_id, schema, tables).values())
    except (ConfigurationError, ValueError) as error:
        log.debug("The lineage of connection %r is not known: %s", conn_id, error)
