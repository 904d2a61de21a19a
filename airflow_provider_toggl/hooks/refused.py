"""Types of connections that cannot be loaded into, although Airflow has a hook for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_toggl.core.errors import ConfigurationError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

_FILES = "each insert writes new files"
_NO_TRANSACTION = "it has no temporary tables and no transactions of several statements"
_HIVE = f"it commits each statement by itself, and {_FILES}"
_SPARK = f"{_NO_TRANSACTION}, and {_FILES}"
_TRINO = "it has no temporary tables and no locks on rows, and most of its connectors commit each statement by itself"
_OTHER_WAYS = "writes temporary tables, `limit` and md5 in other ways than this package"
_PINOT = "its rows come from streams and files, and its SQL updates none"

REFUSED_TYPES: dict[str, str] = {
    "athena": f"{_NO_TRANSACTION}, and {_FILES}",
    "databricks": f"its transactions need certain tables and create none, not even temporary ones, and {_FILES}",
    "drill": "it queries the files of others, without transactions, and updates no rows",
    "druid": "its SQL replaces or adds whole segments, without transactions, and updates no rows",
    "duckdb_aws": "it is for queries of files in S3, and a DuckDB warehouse is a connection of type 'duckdb'",
    "elasticsearch": "its SQL only reads",
    "exasol": "it has no temporary tables, and of two transactions that write to the same table it ends one",
    "hive_cli": _HIVE,
    "hive_metastore": "it has only the descriptions of tables",
    "hiveserver2": _HIVE,
    "impala": f"{_NO_TRANSACTION}, and {_FILES}",
    "kylin": "its SQL only reads",
    "mssql": f"it has no `create table if not exists`, and {_OTHER_WAYS}",
    "oracle": f"it stores empty texts as null, and {_OTHER_WAYS}",
    "pinot": _PINOT,
    "pinot_admin": _PINOT,
    "presto": _TRINO,
    "redshift": "it locks whole tables instead of rows, enforces no primary keys, and inserts row by row slowly",
    "spark": _SPARK,
    "spark_connect": _SPARK,
    "spark_jdbc": _SPARK,
    "spark_sql": _SPARK,
    "teradata": f"it has no `create table if not exists`, and {_OTHER_WAYS}",
    "trino": _TRINO,
    "vertica": "it locks whole tables for updates, enforces no primary keys by default, and inserts row by row slowly",
}
"""By the connection type of Apache's providers: why an engine cannot be loaded into.

A load inserts rows one by one into temporary tables and merges them, in one transaction of many statements, while it
holds the lock on a row. Without one of these, two loads at a time or one that fails halfway could lose rows or store
them twice.
"""


def check_type(connection: Connection) -> None:
    """Return if a connection's type is not known to be one that cannot be loaded into.

    :raises ConfigurationError: it is one. Nothing was tried on the database.
    """
    reason = REFUSED_TYPES.get(str(connection.conn_type))
    if reason:
        raise ConfigurationError(
            f"Connection {connection.conn_id!r} is of type {connection.conn_type!r}, which cannot be loaded into: "
            f"{reason}. Load into Iceberg tables (a connection of type 'iceberg') or write files "
            "(TogglToFilesOperator), and read them from there, or load into DuckDB or PostgreSQL and copy the tables. "
            "See 'Engines that are refused' in docs/warehouses.md."
        )
