"""Snowflake as a warehouse: connections of Apache's provider ``snowflake``, opened by its own hook."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException

from airflow_provider_toggl.core.errors import ConfigurationError, DatabaseFault, WarehouseError
from airflow_provider_toggl.hooks import settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_toggl.core.load.engines.table_store.contract import TableStore

_SCHEMA = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,254}")
_PREFIX = "extra__snowflake__"
_MOST_TAG = 2000
"""Characters that Snowflake keeps of a query tag."""

NETWORK_TIMEOUT = 300
"""Seconds for which a request to Snowflake is tried again."""

# What the provider's hook reads from an extra; it ignores all others.
_REQUIRED = ("account", "database")
_FIELDS = frozenset(
    (
        *_REQUIRED,
        *("warehouse", "region", "role", "host", "port", "authenticator", "session_parameters"),
        *("private_key_file", "private_key_content", "token", "token_file_path", "workload_identity_provider"),
        *("refresh_token", "grant_type", "token_endpoint", "scope", "oauth_username", "oauth_password"),
        *("azure_conn_id", "client_request_mfa_token", "client_store_temporary_credential"),
        *("insecure_mode", "ocsp_fail_open", "json_result_force_utf8_decoding"),
        *("proxy_host", "proxy_port", "proxy_user", "proxy_password"),
    )
)
_TASK = {
    "dag_id": "AIRFLOW_CTX_DAG_ID",
    "task_id": "AIRFLOW_CTX_TASK_ID",
    "run_id": "AIRFLOW_CTX_DAG_RUN_ID",
    "try_number": "AIRFLOW_CTX_TRY_NUMBER",
}


def build_store(connection: Connection, schema: str) -> TableStore:
    """Return the store of a schema behind a connection of type ``snowflake``; nothing is opened yet.

    :param connection: one that ``hooks.connections`` has resolved. Its own schema is that of other tasks.
    :param schema: the schema of the tables, in any case: its name becomes upper case.
    :raises ConfigurationError: a field is missing, unknown or cannot be used, or the provider is not installed.
    """
    try:
        import snowflake.connector  # noqa: PLC0415 - of an extra
        from airflow.providers.snowflake.hooks.snowflake import SnowflakeHook  # noqa: PLC0415 - of an extra
        from requests import RequestException  # noqa: PLC0415 - slow to import
    except ImportError as missing:
        raise ConfigurationError(
            f"Loading into Snowflake needs its provider ({missing}): pip install 'airflow-provider-toggl[snowflake]'."
        ) from None
    from airflow_provider_toggl.core.load.engines.snowflake.store import SnowflakeStore  # noqa: PLC0415 - loads pyarrow

    extra = check_fields(connection)
    schema = check_schema(schema)
    hook = SnowflakeHook(
        snowflake_conn_id=connection.conn_id, schema=schema, session_parameters=build_session_parameters(connection)
    )
    # The hook would read it again, without what was cleaned here.
    hook.get_connection = lambda *_: connection
    # The provider has no field for it, and without it the connector asks a server that is gone for ever.
    parameters = hook._get_conn_params  # noqa: SLF001 - see above
    hook._get_conn_params = lambda: {**parameters(), "network_timeout": NETWORK_TIMEOUT}  # noqa: SLF001 - see above

    def connect() -> Any:
        try:
            return hook.get_conn()
        except snowflake.connector.Error:
            raise
        except RequestException as error:
            raise _build_token_error(connection, error) from None
        except (AirflowException, ImportError, OSError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"Connection {connection.conn_id!r} of type 'snowflake' cannot be opened: {error}. Correct what it "
                f"names; `airflow toggl doctor --warehouse-conn-id {connection.conn_id}` tries it."
            ) from None

    where = f"Snowflake account {extra['account']}, schema {extra['database']}.{schema}"
    return SnowflakeStore(connect, schema, where)


def check_schema(schema: str) -> str:
    """Return a schema's name in upper case, as Snowflake writes names without quotes.

    :raises ConfigurationError: it would need quotes.
    """
    if not _SCHEMA.fullmatch(schema):
        raise ConfigurationError(
            f"schema is {schema!r}; in Snowflake it must begin with a letter or an underscore, and have only letters, "
            "digits, _ and $, so that nobody needs quotes for it."
        )
    return schema.upper()


def check_fields(connection: Connection) -> dict[str, Any]:
    """Return the extra fields of a connection, without the prefix that old ones have.

    :raises ConfigurationError: one is missing, unknown or cannot be used by a task.
    """
    name = connection.conn_id
    if connection.host or connection.port:
        raise ConfigurationError(
            f"Connection {name!r} has a host or a port, which Apache's Snowflake provider ignores: put the account "
            "into account of its extra, and clear both."
        )
    given = {key.removeprefix(_PREFIX): value for key, value in connection.extra_dejson.items()}
    extra = {key: value for key, value in given.items() if value not in (None, "")}
    unknown = sorted(extra.keys() - _FIELDS)
    if unknown:
        raise ConfigurationError(
            f"Connection {name!r} has {', '.join(map(repr, unknown))} in its extra, which Apache's Snowflake provider "
            "ignores: correct the name, or remove it."
        )
    missing = [key for key in _REQUIRED if key not in extra]
    if missing:
        raise ConfigurationError(
            f"Connection {name!r} lacks {' and '.join(missing)}: put them into its extra, such as "
            '{"account": "myorg-myaccount", "database": "ANALYTICS", "warehouse": "LOADING"}.'
        )
    if str(extra.get("authenticator", "")).lower() == "externalbrowser":
        raise ConfigurationError(
            f"Connection {name!r} logs in by a browser (authenticator externalbrowser), which a task has not: use a "
            "key pair (private_key_file or private_key_content), OAuth or a token."
        )
    return extra


def build_session_parameters(connection: Connection) -> dict[str, Any]:
    """Return the parameters of a session: the connection's, those that loads need, and who runs the statements.

    :raises ConfigurationError: the connection has another value for one that loads need.
    """
    from airflow_provider_toggl.core.load.engines.snowflake.store import SESSION_PARAMETERS  # noqa: PLC0415 - loads pyarrow

    given = connection.extra_dejson.get("session_parameters") or {}
    if not isinstance(given, dict):
        raise ConfigurationError(
            f"session_parameters in the extra of connection {connection.conn_id!r} must be a JSON object."
        )
    given = {str(key).upper(): value for key, value in given.items()}
    for key, value in SESSION_PARAMETERS.items():
        if key in given and str(given[key]).upper() != str(value).upper():
            raise ConfigurationError(
                f"Connection {connection.conn_id!r} sets the session parameter {key} to {given[key]!r}; loads need "
                f"{value!r}. Remove it, or use a connection of its own."
            )
    defaults = {"LOCK_TIMEOUT": max(1, round(settings.warehouse_lock_timeout())), "QUERY_TAG": build_tag(os.environ)}
    return {**defaults, **given, **SESSION_PARAMETERS}


def build_tag(environment: Mapping[str, str]) -> str:
    """Return the query tag as JSON: this package, and the task whose environment it is."""
    task = {key: environment[name] for key, name in _TASK.items() if environment.get(name)}
    return json.dumps({"application": "airflow-provider-toggl", **task})[:_MOST_TAG]


def _build_token_error(connection: Connection, error: Exception) -> WarehouseError:
    """Return the error for a request for an OAuth token that failed; its text could show the request."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    fault = DatabaseFault.BAD_CREDENTIALS if status is not None and status < 500 else DatabaseFault.UNREACHABLE
    return WarehouseError(
        f"Connection {connection.conn_id!r}: no OAuth token, because the request for it failed "
        f"({type(error).__name__}, status {status}). Check token_endpoint, grant_type, login and password of the "
        "connection.",
        fault=fault,
    )
