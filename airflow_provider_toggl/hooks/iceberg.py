"""Builds the table store of a connection of type ``iceberg``, with the catalog of Apache's provider."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.hooks.connections import build_wrong_type_error, get_connection
from airflow_provider_toggl.hooks.warehouse import open_warehouse

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_toggl.core.load.engines.iceberg.store import IcebergStore

_EXTRA = "pip install 'airflow-provider-toggl[iceberg]'"
_REST = "rest"


def build_store(connection: Connection, schema: str) -> IcebergStore:
    """Return the table store of a connection; nothing is opened yet.

    As in Apache's provider, host is the catalog's address, login and password are the client's id and secret of a
    REST catalog, and extra has pyiceberg's properties.

    :param connection: of type ``iceberg``.
    :param schema: the namespace of the tables.
    :raises ConfigurationError: a field cannot be used, or a package is missing.
    """
    check_fields(connection)
    try:
        # pyiceberg, pyarrow and DuckDB load only here: importing an operator must not.
        from airflow.providers.apache.iceberg.hooks.iceberg import IcebergHook  # noqa: PLC0415 - see above

        from airflow_provider_toggl.core.load.engines.iceberg.store import IcebergStore  # noqa: PLC0415 - see above
    except ImportError as missing:
        raise ConfigurationError(
            f"Loading into Iceberg tables needs Apache's provider and pyiceberg ({missing.name} is missing): {_EXTRA}."
        ) from None
    where = f"Connection {connection.conn_id!r} of type 'iceberg', namespace {schema!r}"

    def connect() -> Any:
        hook = IcebergHook(str(connection.conn_id))
        # The hook would read the connection again.
        hook.get_connection = lambda _: connection
        try:
            return hook.catalog
        # pyiceberg raises these for properties that it cannot use and for libraries of a catalog that are missing.
        except (ImportError, TypeError, ValueError, KeyError) as error:
            raise ConfigurationError(
                f"{where}: pyiceberg cannot open the catalog ({type(error).__name__}). Check the host and "
                '"type" in the connection\'s extra (rest, sql, glue, hive), and install the pip extra of pyiceberg for '
                "this catalog and storage."
            ) from None
        except Exception as error:
            # pyiceberg's own classes for a missing package or property, compared by name, which needs no import.
            if type(error).__name__ in ("NotInstalledError", "NoSuchPropertyException"):
                raise ConfigurationError(
                    f"{where}: pyiceberg cannot open the catalog; a property or a package is missing: {error}"
                ) from None
            raise

    return IcebergStore(connect, schema, where)


def check_fields(connection: Connection) -> None:
    """Refuse fields that Apache's provider would ignore.

    :raises ConfigurationError: one is set.
    """
    extra = connection.extra_dejson
    type_ = str(extra.get("type", _REST))
    name = f"Connection {connection.conn_id!r} of type 'iceberg'"
    for field in ("port", "schema"):
        if getattr(connection, field):
            raise ConfigurationError(
                f"{name} has a {field}, which Apache's provider for Iceberg ignores: remove it. The port belongs into "
                "the host, the catalog's address; the namespace of the tables is the schema of the operator."
            )
    if type_ != _REST and (connection.login or connection.password):
        raise ConfigurationError(
            f"{name} has a login or password, which belong to REST catalogs only; its catalog is of type {type_!r}. "
            "Remove them and put pyiceberg's properties for this catalog into the extra."
        )
    if bool(connection.login) != bool(connection.password):
        raise ConfigurationError(
            f"{name} has only one of login and password. A REST catalog needs both, the client's id and secret, or "
            'neither and "token" in the extra.'
        )
    if type_ in (_REST, "sql", "hive") and not (connection.host or extra.get("uri")):
        raise ConfigurationError(f"{name} has no host: enter the address of the {type_} catalog.")
    if connection.host and "uri" in extra:
        raise ConfigurationError(f'{name} has a host and "uri" in its extra, which name the same thing: remove one.')
    wrong = sorted(key for key, value in extra.items() if not isinstance(value, str | int | float | bool))
    if wrong:
        raise ConfigurationError(
            f"{name}: {', '.join(wrong)} in its extra must be a text, number or boolean: pyiceberg's properties are "
            'flat, as in {"s3.region": "eu-central-1"}.'
        )


@contextmanager
def open_iceberg(conn_id: str, schema: str) -> Iterator[IcebergStore]:
    """Yield the open table store behind a connection of type ``iceberg``; its tables are created if they are missing.

    Errors of pyiceberg, the catalog and the storage become those of this package.

    :raises ConfigurationError: the connection is of another type, or cannot be used.
    :raises WarehouseError: the catalog or the storage failed.
    """
    connection = get_connection(conn_id, parameter="warehouse_conn_id")
    if connection.conn_type != "iceberg":
        raise build_wrong_type_error(connection, "warehouse_conn_id", "Iceberg tables: iceberg")
    # Opened only to create missing tables, and to refuse those of a later version of this package.
    open_warehouse(conn_id, schema=schema).close()
    store = build_store(connection, schema)
    try:
        store.open()
        yield store
    except Exception as error:
        translated = store.translate(error)
        if translated is None:
            raise
        raise translated from None
    finally:
        store.close()
