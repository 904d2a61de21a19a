"""The provider's metadata, which Airflow reads without importing the rest of the package."""

from __future__ import annotations

from typing import Any

INTEGRATION = "Toggl Track"

_CONNECTION_FIELDS: dict[str, Any] = {
    "workspace_id": {
        "label": "Workspace ID",
        "description": "The workspace of tasks that do not name another. If it is empty, the error of such a task "
        "lists the workspaces of the token.",
        "schema": {"type": ["integer", "null"], "minimum": 1},
    },
    "organization_id": {
        "label": "Organization ID",
        "description": "The organization whose hourly quota is charged and whose groups are read. Empty: the "
        "workspace's organization.",
        "schema": {"type": ["integer", "null"], "minimum": 1},
    },
    "webhook_secret": {
        "label": "Webhook secret",
        "description": "Signs the deliveries of this connection's webhook subscriptions. Choose a long random text "
        "before creating the subscription.",
        "schema": {"type": ["string", "null"], "format": "password"},
    },
    "previous_webhook_secret": {
        "label": "Previous webhook secret",
        "description": "Accepted during a rotation of the secret. Clear it when no delivery is signed with it.",
        "schema": {"type": ["string", "null"], "format": "password"},
    },
    "webhook_callback_url": {
        "label": "Webhook callback URL",
        "description": "The public https address that Toggl delivers events to.",
        "schema": {"type": ["string", "null"], "format": "url"},
    },
    "event_store_conn_id": {
        "label": "Event store connection",
        "description": "Connection ID of the database for received events and, in PostgreSQL, for the rate limits "
        "that all hosts share. Empty: SQLite files on this host.",
        "schema": {"type": ["string", "null"]},
    },
    "quota_reserve": {
        "label": "Quota reserve",
        "description": "Requests of each hourly quota that tasks leave for people and other tools.",
        "schema": {"type": ["integer", "null"], "minimum": 0, "default": 2},
    },
    "requests_per_second": {
        "label": "Requests per second",
        "description": "Rate of all processes that use this token. Toggl recommends 1.",
        "schema": {"type": ["number", "null"], "minimum": 0.01, "default": 1},
    },
    "pace_scope": {
        "label": "Pace scope",
        "description": "token: all hosts share the rate. host: each host has its own, for hosts with public addresses "
        "of their own.",
        "schema": {"type": ["string", "null"], "enum": ["token", "host", None], "default": "token"},
    },
    "allow_plain_http": {
        "label": "Allow plain HTTP",
        "description": "Send the API token unencrypted to a base URL with http:// on another host. Only for a sandbox "
        "in a private network.",
        "schema": {"type": ["boolean", "null"], "default": False},
    },
}

_CONNECTION_TYPE: dict[str, Any] = {
    "connection-type": "toggl",
    "hook-class-name": "airflow_provider_toggl.hooks.toggl.TogglHook",
    "hook-name": INTEGRATION,
    "ui-field-behaviour": {
        "hidden-fields": ["login", "schema"],
        "relabeling": {"password": "API token", "host": "Base URL"},
        "placeholders": {
            "password": "at the foot of track.toggl.com/profile",
            "host": "https://api.track.toggl.com",
            # The Test button in the list of Airflow 3.3 sends port 0 for an empty port, considers the connection
            # changed and refuses to use its stored password. With a port it works.
            "port": "443, which the Test button of Airflow 3.3 needs",
        },
    },
    "conn-fields": _CONNECTION_FIELDS,
}

_CONFIG: dict[str, Any] = {
    "toggl": {
        "description": "Settings of the Toggl Track provider for a host.",
        "options": {
            "state_dir": {
                "description": "Directory of the files in which the processes of this host share rate limits and quota "
                "of each token: an absolute path on a local disk, writable for every process that runs tasks.",
                "version_added": "0.1.0",
                "type": "string",
                "example": "/var/lib/airflow/toggl",
                "default": "{AIRFLOW_HOME}/toggl",
            },
            "single_host": {
                "description": "Whether all tasks run on one host, or see the same state_dir, although the executor is "
                "for several hosts. Otherwise connections must name a database that all hosts share.",
                "version_added": "0.1.0",
                "type": "boolean",
                "example": "True",
                "default": "False",
            },
            "warehouse_path": {
                "description": "DuckDB file that rows are loaded into if the warehouse connection does not exist: an "
                "absolute path.",
                "version_added": "0.1.0",
                "type": "string",
                "example": "/var/lib/airflow/warehouse.duckdb",
                "default": "{AIRFLOW_HOME}/toggl/warehouse.duckdb",
            },
            "warehouse_lock_timeout": {
                "description": "Seconds that a task waits for a DuckDB file that another process has locked.",
                "version_added": "0.1.0",
                "type": "integer",
                "example": "60",
                "default": "300",
            },
            "keep_history": {
                "description": "Whether tasks keep each version of a time entry that they load, for the view "
                "time_entry_changes. A task's own keep_history overrides it.",
                "version_added": "0.1.0",
                "type": "boolean",
                "example": "True",
                "default": "False",
            },
            "report_lag": {
                "description": "Seconds that Toggl's reports may lag behind changes. The next run reads changes of the "
                "last so many seconds again.",
                "version_added": "0.1.0",
                "type": "integer",
                "example": "600",
                "default": "300",
            },
            "receiver_connections": {
                "description": "Comma-separated IDs of the connections for which the API server receives webhook "
                "deliveries, at /toggl/webhooks/<connection ID>. Empty: none.",
                "version_added": "0.1.0",
                "type": "string",
                "example": "toggl_default",
                "default": "",
            },
            "receiver_freeze_startup_objects": {
                "description": "Whether garbage collections in the API server skip the objects that exist when the "
                "first webhook delivery arrives. Otherwise each full collection visits all of them, while every "
                "request waits.",
                "version_added": "0.1.0",
                "type": "boolean",
                "example": "False",
                "default": "True",
            },
        },
    }
}


def _named(*modules: str) -> list[dict[str, Any]]:
    return [{"integration-name": INTEGRATION, "python-modules": [f"airflow_provider_toggl.{name}" for name in modules]}]


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata in the form of Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-toggl",
        "name": INTEGRATION,
        "description": "`Toggl Track <https://toggl.com/track/>`__: whole workspaces in the warehouse, within the "
        "API quota, and changes within seconds.",
        "integrations": [
            {
                "integration-name": INTEGRATION,
                "external-doc-url": "https://engineering.toggl.com/docs/",
                "tags": ["service"],
            }
        ],
        "hooks": _named("hooks.toggl"),
        "operators": _named(
            "operators.subscriptions",
            "operators.events",
            "operators.request",
            "operators.entries",
            "operators.catalog",
            "operators.iceberg",
        ),
        "sensors": _named("sensors.events"),
        "triggers": _named("triggers.events", "triggers.waiting"),
        "transfers": [
            {
                "source-integration-name": INTEGRATION,
                # The integration of the provider `common.sql`, the base of every SQL hook.
                "target-integration-name": "Common SQL",
                "python-module": f"airflow_provider_toggl.transfers.{module}",
            }
            for module in ("toggl_to_sql", "events_to_sql", "reconcile")
        ]
        + [
            {
                "source-integration-name": INTEGRATION,
                # The integration of the provider `common.io`, which is about files in any object store.
                "target-integration-name": "Common IO",
                "python-module": "airflow_provider_toggl.transfers.toggl_to_files",
            }
        ],
        "asset-uris": [
            {
                "schemes": ["toggl"],
                "handler": "airflow_provider_toggl.assets.sanitize_uri",
                "factory": "airflow_provider_toggl.assets.toggl_asset",
                "to_openlineage_converter": "airflow_provider_toggl.assets.convert_asset_to_openlineage",
            },
            {
                # Tables of a warehouse in the lineage that hooks report; nobody writes such a URI.
                "schemes": ["toggl-warehouse"],
                "handler": None,
                "to_openlineage_converter": "airflow_provider_toggl.assets.convert_asset_to_openlineage",
            },
        ],
        "extra-links": [
            "airflow_provider_toggl.links.TogglPageLink",
            "airflow_provider_toggl.links.TogglReportLink",
        ],
        "connection-types": [_CONNECTION_TYPE],
        "config": _CONFIG,
        "cli": ["airflow_provider_toggl.cli.definition.get_toggl_cli_commands"],
    }
