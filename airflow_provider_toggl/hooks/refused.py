"""Types of connections that cannot be loaded into, although Airflow has a hook for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_toggl.core.errors import ConfigurationError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

_HIVE = "it commits each statement by itself, and each insert writes new files"
_SPARK = "it has no temporary tables and no transactions of several statements, and each insert writes new files"
_TRINO = "it has no temporary tables, no locks on rows, and with most of its connectors no transactions of several statements"
_PINOT = "its rows come from streams and files, and its SQL updates none"

REFUSED_TYPES: dict[str, str] = {
    "athena": "it has no temporary tables and no transactions of several statements, and each insert writes new files",
    "databricks": (
        "its transactions of several statements need certain tables and cannot create any, and each insert writes new files"
    ),
    "drill": "it queries files of others: it has no transactions, and updates no rows",
    "druid": "its SQL replaces or adds whole segments: it has no transactions, and updates no rows",
    "duckdb_aws": "it is for queries of files in S3; a warehouse in DuckDB is a file, named by a connection of type 'duckdb'",
    "elasticsearch": "its SQL only reads",
    "exasol": "it has no temporary tables, and ends one of two transactions that write to the same table",
    "hive_cli": _HIVE,
    "hive_metastore": "it has only the descriptions of tables",
    "hiveserver2": _HIVE,
    "impala": "it has no temporary tables and no transactions, and each insert writes new files",
    "kylin": "its SQL only reads",
    "mssql": (
        "its temporary tables, `create table if not exists`, `limit` and md5 are written in other ways than this package "
        "writes them"
    ),
    "oracle": "it stores an empty text as null, and its temporary tables, `limit` and md5 are written in other ways",
    "pinot": _PINOT,
    "pinot_admin": _PINOT,
    "presto": _TRINO,
    "redshift": (
        "it locks whole tables instead of rows, does not enforce primary keys, and is slow at inserting row by row"
    ),
    "spark": _SPARK,
    "spark_connect": _SPARK,
    "spark_jdbc": _SPARK,
    "spark_sql": _SPARK,
    "teradata": "its temporary tables, `create table if not exists` and `limit` are written in other ways, and it has no md5",
    "trino": _TRINO,
    "vertica": "it locks whole tables for an update, does not enforce primary keys by default, and is slow at inserting row by row",
}
"""By the connection type of Apache's providers: what the engine lacks for a load.

A load merges rows in temporary tables, in one transaction of many statements, while a row of the warehouse is locked. An
engine that lacks one of these would lose or double rows when two tasks load, or when a task fails in the middle.
"""


def check_type(connection: Connection) -> None:
    """Return if a connection's type is not known to be one that cannot be loaded into.

    :raises ConfigurationError: it is one. Nothing was tried on the database.
    """
    reason = REFUSED_TYPES.get(str(connection.conn_type))
    if reason:
        raise ConfigurationError(
            f"Connection {connection.conn_id!r} is of type {connection.conn_type!r}, which cannot be loaded into: {reason}. "
            "Load into Iceberg tables (a connection of type 'iceberg') or write files (TogglToFilesOperator), and read "
            "these from there; or load into DuckDB or PostgreSQL and copy the tables. docs/warehouses.md says how, under "
            "'Engines that are refused'."
        )
