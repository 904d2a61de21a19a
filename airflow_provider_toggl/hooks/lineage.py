"""The names of a warehouse's tables in OpenLineage, and what hooks report to Airflow's collector of lineage.

Where OpenLineage has a naming for an engine, the names are those that its other integrations give the same tables, so
that their graphs meet: https://openlineage.io/docs/spec/naming.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_toggl.core.lineage import DatasetName, build_table_uri, name_stream
from airflow_provider_toggl.hooks.connections import database_file, split_host, with_fields
from airflow_provider_toggl.hooks.duckdb import parse_duckdb

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

Naming = Callable[["Connection", str, str], DatasetName | None]

_CONTEXT: Any = BaseHook()
"""Stands for the hook where a function reports: the collector distinguishes reports by their hook."""


def name_table(connection: Connection, schema: str, table: str) -> DatasetName | None:
    """Return the name of a table of a warehouse; opens and looks up nothing, and contains no secret.

    :param connection: one that ``hooks.connections`` has resolved.
    :param schema: the schema of the tables, as operators have it.
    :return: None if the connection does not say it, or its type is not in the table of namings.
    :raises ConfigurationError: a field of the connection is invalid.
    """
    naming = NAMINGS.get(str(connection.conn_type))
    return None if naming is None else naming(connection, schema, table)


# -- one naming for each engine ----------------------------------------------------------------------------------------


def name_duckdb_table(connection: Connection, schema: str, table: str) -> DatasetName:
    """Return ``duckdb://<file>`` and ``<database>.<schema>.<table>``; a file is the database of its name.

    OpenLineage's specification does not have DuckDB. These are the names of its integration of dbt.
    """
    path, _ = parse_duckdb(connection)
    return DatasetName(f"duckdb://{path.absolute()}", f"{path.stem}.{schema}.{table}")


def name_sqlite_table(connection: Connection, _schema: str, table: str) -> DatasetName:
    """Return ``file://<file>`` and ``<table>``: in SQLite a file is a schema. OpenLineage has no naming for it."""
    path = database_file(connection, "SQLite", suffixes=(".sqlite", ".db"))
    return DatasetName(f"file://{path.absolute()}", table)


def name_postgres_table(connection: Connection, schema: str, table: str) -> DatasetName | None:
    """Return ``postgres://<host>:<port>`` and ``<database>.<schema>.<table>``.

    Of several hosts, it is the first. A parameter in the extra comes before the field, as in ``hooks.libpq``.
    """
    given = _given_extra(connection)
    first = str(given.get("host") or connection.host or "").split(",")[0].strip()
    port = str(given.get("port") or connection.port or "").split(",")[0].strip()
    database = given.get("dbname") or connection.schema or given.get("user") or connection.login
    server = with_fields(connection, host=first or None, port=int(port) if port.isdigit() else None)
    # Without a database, libpq takes the one that is named like the user.
    return DatasetName(_server("postgres", server, 5432), f"{database}.{schema}.{table}") if database else None


def name_mysql_table(connection: Connection, schema: str, table: str) -> DatasetName:
    """Return ``mysql://<host>:<port>`` and ``<schema>.<table>``: in MySQL and MariaDB a schema is a database."""
    return DatasetName(_server("mysql", connection, 3306), f"{schema}.{table}")


def name_clickhouse_table(connection: Connection, schema: str, table: str) -> DatasetName:
    """Return ``clickhouse://<host>:<port>`` and ``<schema>.<table>``: in ClickHouse a schema is a database.

    OpenLineage's specification does not have ClickHouse. These are the names of its integration of dbt.
    """
    is_secure = str(_given_extra(connection).get("secure", "")).lower() in ("true", "1")
    return DatasetName(_server("clickhouse", connection, 8443 if is_secure else 8123), f"{schema}.{table}")


def name_snowflake_table(connection: Connection, schema: str, table: str) -> DatasetName | None:
    """Return ``snowflake://<account>`` and ``<DATABASE>.<SCHEMA>.<TABLE>``."""
    given = _given_extra(connection)
    account, database = given.get("account") or connection.host, given.get("database")
    if not account or not database:
        return None
    place = _snowflake_account(str(account), str(given.get("region") or ""))
    return DatasetName(f"snowflake://{place}", f"{database}.{schema}.{table}".upper())


def name_bigquery_table(connection: Connection, schema: str, table: str) -> DatasetName | None:
    """Return ``bigquery`` and ``<project>.<schema>.<table>``: in BigQuery a schema is a data set."""
    given = _given_extra(connection)
    project = given.get("project") or given.get("project_id") or _project_of_key(given.get("keyfile_dict"))
    return DatasetName("bigquery", f"{project}.{schema}.{table}") if project else None


def name_iceberg_table(connection: Connection, schema: str, table: str) -> DatasetName | None:
    """Return the bucket and folder of a table, or the address of its catalog and ``<schema>.<table>``.

    A REST catalog chooses locations itself. Other catalogs put tables below the location of their warehouse, as in
    pyiceberg's ``_get_default_warehouse_location`` and ``_get_hive_style_warehouse_location``.
    """
    given = _given_extra(connection)
    kind = str(given.get("type", "rest"))
    scheme, place, path = _split_url(str(given.get("warehouse", "")))
    if kind != "rest" and (place or path.startswith("/")):
        folder = "/".join([path.rstrip("/"), f"{schema}.db" if kind in ("hive", "glue", "dynamodb") else schema, table])
        if not place:
            return DatasetName("file", folder)
        # Clients of S3 have three names for its scheme, OpenLineage has one.
        return DatasetName(f"{'s3' if scheme in ('s3a', 's3n') else scheme}://{place}", folder.lstrip("/"))
    scheme, place, path = _split_url(str(connection.host or given.get("uri", "")))
    return DatasetName(f"{scheme}://{place}{path.rstrip('/')}", f"{schema}.{table}") if place else None


NAMINGS: Mapping[str, Naming] = {
    "duckdb": name_duckdb_table,
    "sqlite": name_sqlite_table,
    "postgres": name_postgres_table,
    "postgresql": name_postgres_table,
    "mysql": name_mysql_table,
    "mariadb": name_mysql_table,
    "clickhouse": name_clickhouse_table,
    "snowflake": name_snowflake_table,
    "gcpbigquery": name_bigquery_table,
    "google_cloud_platform": name_bigquery_table,
    "iceberg": name_iceberg_table,
}
"""The naming of each connection type."""


def _split_url(url: str) -> tuple[str, str, str]:
    """Return scheme, place and path of a URL, without login and password; empty texts for what is no URL."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", "", ""
    # In Azure's URLs, what precedes the @ is a container.
    place = parts.netloc if parts.scheme in ("abfs", "abfss", "wasbs") else parts.netloc.rpartition("@")[2]
    return parts.scheme, place, parts.path if parts.scheme in ("", "file") or place else ""


def _server(scheme: str, connection: Connection, default_port: int) -> str:
    """Return the namespace of a database server; a socket and an empty host are the host ``localhost``."""
    host, port = split_host(connection)
    if not host or host.startswith(("/", "@")):
        host = "localhost"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port or default_port}"


def _given_extra(connection: Connection) -> dict[str, Any]:
    """Return the extra without empty fields, and without the prefix that older connections of Google have."""
    extra = {
        name.removeprefix("extra__google_cloud_platform__"): value for name, value in connection.extra_dejson.items()
    }
    return {name: value for name, value in extra.items() if value not in (None, "")}


def _snowflake_account(account: str, region: str) -> str:
    """Return an account as OpenLineage names it: ``organization-account`` alone, or a locator, region and cloud."""
    locator, *rest = account.removesuffix(".snowflakecomputing.com").split(".")
    if "-" in locator:
        return locator
    place = rest or (region.split(".") if region else ["us-west-1"])
    return ".".join([locator, *place] if len(place) > 1 else [locator, *place, "aws"])


def _project_of_key(key: Any) -> str | None:
    """Return the project of a service account's key, which Airflow has as a dictionary or as its JSON text."""
    try:
        decoded = json.loads(key) if isinstance(key, str) else key
    except ValueError:
        return None
    return decoded.get("project_id") if isinstance(decoded, dict) else None


# -- what hooks report -------------------------------------------------------------------------------------------------


def has_running_task() -> bool:
    """Return whether a task runs. Elsewhere nobody asks for lineage, and Airflow's collector would load all plugins."""
    from airflow.sdk import get_current_context  # noqa: PLC0415 - slow to import

    try:
        get_current_context()
    except RuntimeError:
        return False
    return True


def report_stream_read(hook: BaseHook, workspace_id: int, stream: str) -> None:
    """Report that a hook reads a stream of a workspace, if a task runs."""
    if has_running_task():
        _add_input(hook, "/".join(name_stream(workspace_id, stream)))


def report_tables_read(datasets: Iterable[DatasetName]) -> None:
    """Report that the running task reads tables of a warehouse."""
    for dataset in datasets:
        _add_input(_CONTEXT, build_table_uri(dataset))


def _add_input(context: Any, uri: str) -> None:
    from airflow.sdk.lineage import get_hook_lineage_collector  # noqa: PLC0415 - slow to import

    get_hook_lineage_collector().add_input_asset(context=context, uri=uri)
