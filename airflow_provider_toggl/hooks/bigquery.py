"""Airflow connections to Google Cloud as stores in BigQuery; Airflow's Google provider logs in."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException

from airflow_provider_toggl.core.arguments import parse_choice, parse_object, parse_text, parse_whole
from airflow_provider_toggl.core.errors import ConfigurationError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection
    from google.cloud import bigquery

    from airflow_provider_toggl.core.load.engines.bigquery.store import BigQueryStore

CONNECTION_TYPES = ("gcpbigquery", "google_cloud_platform")

_PREFIX = "extra__google_cloud_platform__"
"""Older versions of the provider stored fields with it, and all of them still read it."""

# What the provider's hook reads itself.
_OF_THE_HOOK = frozenset(
    (
        "client_id",
        "client_secret",
        "credential_config_file",
        "idp_extra_params",
        "idp_issuer_url",
        "impersonation_chain",
        "is_anonymous",
        "key_path",
        "key_secret_name",
        "key_secret_project_id",
        "keyfile_dict",
        "num_retries",
        "project",
        "quota_project_id",
        "scope",
    )
)
_OURS = frozenset(("labels", "location", "priority"))
_REFUSED = {
    "api_resource_configs": "this package configures its jobs itself",
    "idp_extra_parameters": "the provider's form has it, but its hook reads 'idp_extra_params'",
    "use_legacy_sql": "this package writes GoogleSQL",
}
_PRIORITIES = ("INTERACTIVE", "BATCH")


def read_extra(connection: Connection) -> dict[str, Any]:
    """Return the fields of a connection's extra that are set, by their short names.

    :raises ConfigurationError: a field has no use here, or is invalid.
    """
    name = connection.conn_id
    for field in ("host", "login", "password", "port", "schema"):
        if getattr(connection, field):
            raise ConfigurationError(
                f"Connection {name!r} has a {field}, which connections of type {connection.conn_type!r} do not use: "
                "remove it. The project is in the extra; the dataset is the schema of the task."
            )
    extra = {
        key.removeprefix(_PREFIX): value
        for key, value in connection.extra_dejson.items()
        if value not in (None, "", "null") and (value or key.removeprefix(_PREFIX) not in _REFUSED)
    }
    for key, value in extra.items():
        if key in _REFUSED and value not in ("false", "False", "{}"):
            raise ConfigurationError(
                f"Connection {name!r} has {key!r} in its extra: {_REFUSED[key]}. Remove it, or use another connection."
            )
        if key not in _OF_THE_HOOK | _OURS | set(_REFUSED):
            raise ConfigurationError(
                f"Connection {name!r} has {key!r} in its extra, which neither Airflow's Google provider nor this "
                "package knows. Correct the name, or remove it."
            )
    return extra


def read_options(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the store's options in the extra of a connection.

    :raises ConfigurationError: one is invalid.
    """
    labels = parse_object("labels", extra.get("labels")) or {}
    return {
        "location": extra.get("location"),
        "priority": parse_choice("priority", extra.get("priority"), options=_PRIORITIES) or "INTERACTIVE",
        "labels": {str(key): parse_text("labels", value) for key, value in labels.items()},
        "upload_retries": parse_whole("num_retries", extra.get("num_retries", 5), minimum=0),
    }


def build_store(connection: Connection, schema: str) -> BigQueryStore:
    """Return the store in a dataset; nothing is opened yet.

    :param connection: one of type ``gcpbigquery`` or ``google_cloud_platform``.
    :param schema: the dataset.
    :raises ConfigurationError: a field is invalid, or a package is missing.
    """
    extra = read_extra(connection)
    options = read_options(extra)
    try:
        from airflow.providers.google.cloud.hooks.bigquery import BigQueryHook  # noqa: PLC0415 - of an extra
        from airflow.providers.google.common.hooks.base_google import GoogleBaseHook  # noqa: PLC0415 - as above

        from airflow_provider_toggl.core.load.engines.bigquery.store import (  # noqa: PLC0415 - as above
            BigQueryOptions,
            BigQueryStore,
        )
    except ImportError as missing:
        raise ConfigurationError(
            f"Loading into BigQuery needs Airflow's Google provider ({missing}): "
            "pip install 'airflow-provider-toggl[bigquery]'."
        ) from None

    if "quota_project_id" in extra and "quota_project_id" not in inspect.signature(GoogleBaseHook).parameters:
        raise ConfigurationError(
            f"Connection {connection.conn_id!r} has 'quota_project_id' in its extra, which this version of Airflow's "
            "Google provider ignores: upgrade apache-airflow-providers-google, or remove it."
        )

    class Hook(BigQueryHook):  # type: ignore[misc] # not typed
        """The provider's hook for a connection that was already read."""

        @classmethod
        def get_connection(cls, conn_id: str) -> Any:  # noqa: ARG003 - the base's
            return connection

    def connect() -> bigquery.Client:
        try:
            hook = Hook(gcp_conn_id=connection.conn_id, use_legacy_sql=False)
            client: bigquery.Client = hook.get_client(project_id=hook.project_id, location=options["location"])
        except (AirflowException, OSError, ValueError) as error:
            raise ConfigurationError(
                f"Connection {connection.conn_id!r} cannot be used: {error}. Correct its key, or the project in its "
                "extra."
            ) from None
        return client

    return BigQueryStore(connect, schema, BigQueryOptions(**options))
