"""The Airflow connection that rows land in, and the engine that it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowNotFoundException, BaseHook, conf

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.hooks import mysql, telemetry
from airflow_provider_toggl.hooks.libpq import build_dsn
from airflow_provider_toggl.hooks.toggl import DataFrameType, airflow_home, as_frame

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_toggl.core.land.sql_target import SqlTarget
    from airflow_provider_toggl.core.land.target import Target

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
    telemetry.connect()
    if lock_timeout is None:
        lock_timeout = float(conf.get("toggl", "warehouse_lock_timeout", fallback="300"))
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
    if asked is None and conf.getboolean("toggl", "keep_history", fallback=False):
        return True
    return asked


def build_target(conn_id: str, schema: str, lock_timeout: float) -> SqlTarget:
    """Return the warehouse behind an Airflow connection; nothing is opened or made yet.

    :param lock_timeout: seconds to wait for others.
    :raises ConfigurationError: there is no such connection, it is of a type that nothing here can land in, or a package
        is missing.
    """
    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        if conn_id != DEFAULT_CONN_ID:
            raise ConfigurationError(
                f"There is no connection {conn_id!r} to land in. Make it, or correct warehouse_conn_id; without it "
                "rows land in [toggl] warehouse_path."
            ) from None
        return _duckdb_target(default_path(), schema, lock_timeout)
    if connection.conn_type == "duckdb":
        return _duckdb_target(_duckdb_path(conn_id, connection), schema, lock_timeout)
    if connection.conn_type in ("postgres", "postgresql"):
        return _postgres_target(connection, schema, lock_timeout)
    if connection.conn_type in mysql.CONNECTION_TYPES and not mysql.is_provider_installed(connection.conn_type):
        return _mysql_target(connection, schema, lock_timeout)
    return _dbapi_target(conn_id, connection, schema, lock_timeout)


# Targets are imported here: they are heavy, and importing an operator must not load them.


def _duckdb_target(path: Path, schema: str, lock_timeout: float) -> SqlTarget:
    from airflow_provider_toggl.core.land.duckdb_target import DuckdbTarget  # noqa: PLC0415 - see above

    return DuckdbTarget(path, schema=schema, lock_timeout=lock_timeout)


def _postgres_target(connection: Connection, schema: str, lock_timeout: float) -> SqlTarget:
    try:
        from airflow_provider_toggl.core.land.postgres_target import PostgresTarget  # noqa: PLC0415 - see above

        dsn = build_dsn(connection)
    except ImportError as missing:
        raise ConfigurationError(
            f"Landing in PostgreSQL needs psycopg 3 ({missing}): pip install 'airflow-provider-toggl[postgres]'."
        ) from None
    return PostgresTarget(dsn, schema=schema, lock_timeout=lock_timeout)


def _mysql_target(connection: Connection, schema: str, lock_timeout: float) -> SqlTarget:
    from airflow_provider_toggl.core.land.dbapi_target import DbApi, DbApiTarget  # noqa: PLC0415 - see above

    where = f"Connection {connection.conn_id!r} of type {connection.conn_type!r}, schema {schema!r}"
    return DbApiTarget(
        DbApi(lambda: mysql.connect(connection), "%s", "mysql", where), schema=schema, lock_timeout=lock_timeout
    )


def _dbapi_target(conn_id: str, connection: Connection, schema: str, lock_timeout: float) -> SqlTarget:
    from airflow.providers.common.sql.hooks.sql import DbApiHook  # noqa: PLC0415 - see above

    from airflow_provider_toggl.core.land.dbapi_target import DbApi, DbApiTarget  # noqa: PLC0415 - see above

    type_ = str(connection.conn_type)
    try:
        hook: Any = connection.get_hook()  # type: ignore[no-untyped-call]
    except (AirflowException, ImportError) as error:
        raise ConfigurationError(
            f"Connection {conn_id!r} is of type {type_!r}, for which no hook is installed ({error}): install the "
            f"provider of that type, for example airflow-provider-toggl[{_ENGINES.get(type_, 'mysql')}]."
        ) from None
    if not isinstance(hook, DbApiHook):
        raise ConfigurationError(
            f"Connection {conn_id!r} is of type {type_!r}, which is no database; rows can land in duckdb (host: the "
            "file's path), in postgres, and in every type with a DbApiHook."
        )

    def connect() -> Any:
        try:
            return hook.get_conn()
        except (AirflowException, ImportError, RuntimeError) as error:
            raise ConfigurationError(
                f"Connection {conn_id!r} of type {type_!r} cannot be opened: {error}. Mend what it names; "
                f"`airflow toggl doctor --warehouse-conn-id {conn_id}` tries it."
            ) from None

    where = f"Connection {conn_id!r} of type {type_!r}, schema {schema!r}"
    api = DbApi(connect, hook.placeholder, _ENGINES.get(type_, "ansi"), where)
    return DbApiTarget(api, schema=schema, lock_timeout=lock_timeout)


def _duckdb_path(conn_id: str, connection: Connection) -> Path:
    if connection.host:
        return Path(connection.host)
    if connection.schema and connection.schema.endswith((".duckdb", ".db")):
        # duckdb:///folder/file.duckdb, written as a URI, has its path in the schema.
        return Path("/", connection.schema)
    raise ConfigurationError(f"Connection {conn_id!r} names no file: put the path of the DuckDB file into its host.")


def default_path() -> Path:
    """Return the file that is used where no DuckDB connection exists (``[toggl] warehouse_path``)."""
    return Path(
        conf.get("toggl", "warehouse_path", fallback=None) or Path(airflow_home()) / "toggl" / "warehouse.duckdb"
    )


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
        return as_frame(target.query(query, parameters), df_type)
