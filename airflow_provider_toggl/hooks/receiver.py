"""Build the receiver on Airflow: connections from its secrets backends, counts in its metrics."""

from __future__ import annotations

import gc
import threading
from collections.abc import Sequence
from contextlib import suppress

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.events.store import EventStore
from airflow_provider_toggl.core.webhooks.app import Receiver
from airflow_provider_toggl.core.webhooks.delivery import ReceivingConnection
from airflow_provider_toggl.hooks import settings, telemetry
from airflow_provider_toggl.hooks.connections import ConnectionNotFound, get_toggl_fields
from airflow_provider_toggl.hooks.events import open_event_store


def freeze_startup_objects() -> None:
    """Exclude the objects that exist now from garbage collection, unless ``[toggl]`` disables it.

    There is no collection before, which would take as long as one of those that are saved, and find next to nothing.
    See ``docs/decisions/0006-freezing-startup-objects.md``.
    """
    if settings.receiver_freeze_startup_objects():
        gc.freeze()


def build_receiver(conn_ids: Sequence[str]) -> Receiver:
    """Return the receiver of these connections. Nothing is looked up or opened yet."""
    telemetry.connect()
    threading.Thread(target=telemetry.warm_up, name="toggl-metrics", daemon=True).start()
    return Receiver(conn_ids, find_receiving_connection, open_receiving_store)


def find_receiving_connection(conn_id: str) -> ReceivingConnection | None:
    """Return a connection as the receiver needs it, None if Airflow does not find it. Blocks."""
    try:
        return _read(conn_id)
    except ConnectionNotFound:
        return None


def get_receiving_connection(conn_id: str) -> ReceivingConnection:
    """Return a connection that can receive.

    :raises ConfigurationError: it does not exist, or has no secret.
    """
    found = _read(conn_id)
    if not found.secrets:
        raise ConfigurationError(
            f"Connection {conn_id!r} has no webhook_secret in its extra, so no delivery can be verified. "
            "Set it to a long random text, and run the task that ensures the subscription."
        )
    return found


def _read(conn_id: str) -> ReceivingConnection:
    fields = get_toggl_fields(conn_id)
    secrets = (fields.webhook_secret, fields.previous_webhook_secret)
    workspace_id = None
    # Deliveries are stored even if the workspace is not a number.
    with suppress(ConfigurationError):
        workspace_id = fields.workspace_id
    return ReceivingConnection(
        conn_id=conn_id,
        secrets=tuple(secret for secret in secrets if secret),
        workspace_id=workspace_id,
        store=fields.event_store_conn_id,
        echo_validation=fields.webhook_validation != "asynchronous",
    )


def open_receiving_store(store: str) -> EventStore:
    """Open the event store of a connection ID, or the default store for empty text, with its tables. Blocks."""
    return open_event_store(event_store_conn_id=store)
