"""What Airflow is told of this package without importing any of it."""

from __future__ import annotations

from typing import Any

INTEGRATION = "Toggl Track"

_CONNECTION_FIELDS: dict[str, Any] = {
    "workspace_id": {
        "label": "Workspace ID",
        "description": "The workspace that is read unless a task names another. When it is empty, the error of a task "
        "that names none lists the workspaces that the token can see.",
        "schema": {"type": ["integer", "null"], "minimum": 1},
    },
    "organization_id": {
        "label": "Organization ID",
        "description": "The organization whose hourly quota is charged and whose groups are read; empty: the one that "
        "the workspace belongs to.",
        "schema": {"type": ["integer", "null"], "minimum": 1},
    },
    "webhook_secret": {
        "label": "Webhook secret",
        "description": "Signs the deliveries of this connection's webhook subscriptions. Choose it yourself, long and "
        "random, before the subscription is made.",
        "schema": {"type": ["string", "null"], "format": "password"},
    },
    "previous_webhook_secret": {
        "label": "Previous webhook secret",
        "description": "Still accepted while a secret is being changed. Empty it when no delivery is signed with it "
        "any more.",
        "schema": {"type": ["string", "null"], "format": "password"},
    },
    "webhook_callback_url": {
        "label": "Webhook callback URL",
        "description": "The public https address that Toggl delivers events to.",
        "schema": {"type": ["string", "null"], "format": "url"},
    },
    "event_store_conn_id": {
        "label": "Event store connection",
        "description": "Connection ID of the database that keeps received events; empty: a SQLite file on this host.",
        "schema": {"type": ["string", "null"]},
    },
    "quota_reserve": {
        "label": "Quota reserve",
        "description": "Requests of each hourly quota that tasks leave to people and to other tools.",
        "schema": {"type": ["integer", "null"], "minimum": 0, "default": 2},
    },
    "requests_per_second": {
        "label": "Requests per second",
        "description": "Pace of all processes on one host that share this token. Toggl asks for 1.",
        "schema": {"type": ["number", "null"], "minimum": 0.01, "default": 1},
    },
    "allow_plain_http": {
        "label": "Allow plain HTTP",
        "description": "Send the API token unencrypted to a base URL that begins with http:// and is not of this host. "
        "For a sandbox inside a private network only.",
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
            "password": "from the foot of track.toggl.com/profile",
            "host": "https://api.track.toggl.com",
            # The list's Test button of Airflow 3.3 sends port 0 for an empty port, takes the connection for changed
            # and refuses to use its stored password. With a port it works.
            "port": "443, which the Test button of Airflow 3.3 needs",
        },
    },
    "conn-fields": _CONNECTION_FIELDS,
}

_CONFIG: dict[str, Any] = {
    "toggl": {
        "description": "Settings of the Toggl Track provider that belong to a host and not to a connection.",
        "options": {
            "state_dir": {
                "description": "Directory of the files by which all processes of this host share one pace and one "
                "quota book a token: an absolute path on a local disk, writable by every process that runs tasks.",
                "version_added": "0.1.0",
                "type": "string",
                "example": "/var/lib/airflow/toggl",
                "default": "{AIRFLOW_HOME}/toggl",
            },
            "warehouse_path": {
                "description": "DuckDB file that rows land in when the warehouse connection does not exist: an "
                "absolute path.",
                "version_added": "0.1.0",
                "type": "string",
                "example": "/var/lib/airflow/warehouse.duckdb",
                "default": "{AIRFLOW_HOME}/toggl/warehouse.duckdb",
            },
            "warehouse_lock_timeout": {
                "description": "Seconds that a task waits for a DuckDB file that another process is writing.",
                "version_added": "0.1.0",
                "type": "integer",
                "example": "60",
                "default": "300",
            },
            "keep_history": {
                "description": "Whether tasks that land keep each version of a time entry that they see, for the view "
                "time_entry_changes. A task's own keep_history comes before it.",
                "version_added": "0.1.0",
                "type": "boolean",
                "example": "True",
                "default": "False",
            },
            "report_lag": {
                "description": "Seconds that Toggl's reports may lag behind its writes. What changed within the last "
                "so many seconds is read again by the next run.",
                "version_added": "0.1.0",
                "type": "integer",
                "example": "600",
                "default": "300",
            },
            "receiver_connections": {
                "description": "Comma-separated IDs of the connections that the webhook receiver takes deliveries "
                "for, at /toggl/webhooks/<connection ID> of the API server. Empty: it takes none.",
                "version_added": "0.1.0",
                "type": "string",
                "example": "toggl_default",
                "default": "",
            },
            "receiver_freeze_startup_objects": {
                "description": "Whether the API server's garbage collections pass over what it has loaded when the "
                "first webhook delivery comes. Otherwise each full collection stops every request while it visits "
                "all of that.",
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
    """Return the provider's metadata, as Airflow's ``provider_info.schema.json`` wants it."""
    return {
        "package-name": "airflow-provider-toggl",
        "name": INTEGRATION,
        "description": "`Toggl Track <https://toggl.com/track/>`__: whole workspaces in the warehouse, within the "
        "API quota, and every change within seconds.",
        "integrations": [
            {
                "integration-name": INTEGRATION,
                "external-doc-url": "https://engineering.toggl.com/docs/",
                "tags": ["service"],
            }
        ],
        "hooks": _named("hooks.toggl"),
        "operators": _named(
            "operators.subscriptions", "operators.events", "operators.request", "operators.entries", "operators.catalog"
        ),
        "sensors": _named("sensors.events"),
        "triggers": _named("triggers.events", "triggers.waiting"),
        "transfers": [
            {
                "source-integration-name": INTEGRATION,
                # The integration of the provider `common.sql`, which every SQL database's hook stands on.
                "target-integration-name": "Common SQL",
                "python-module": f"airflow_provider_toggl.transfers.{module}",
            }
            for module in ("toggl_to_sql", "events_to_sql", "reconcile")
        ],
        "asset-uris": [
            {
                "schemes": ["toggl"],
                "handler": "airflow_provider_toggl.assets.sanitize_uri",
                "factory": "airflow_provider_toggl.assets.toggl_asset",
            }
        ],
        "connection-types": [_CONNECTION_TYPE],
        "config": _CONFIG,
        "cli": ["airflow_provider_toggl.cli.definition.get_toggl_cli_commands"],
    }
