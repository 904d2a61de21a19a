"""The receiver with Airflow behind it: connections from its secrets backends, counts to its metrics."""

from __future__ import annotations

import gc
import threading
from collections.abc import Sequence
from typing import Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook, conf

from airflow_provider_toggl.core.delivery.app import Receiver
from airflow_provider_toggl.core.delivery.receive import ReceivingConnection
from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.events.store import EventStore
from airflow_provider_toggl.hooks import telemetry
from airflow_provider_toggl.hooks.events import open_event_store


def receiver_connections() -> tuple[str, ...]:
    """Return the connections that deliveries may come in for (``[toggl] receiver_connections``)."""
    text = conf.get("toggl", "receiver_connections", fallback="") or ""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def freeze_startup_objects() -> None:
    """Keep what this process has now out of later garbage collections, unless ``[toggl]`` says otherwise.

    Without a collection before: that takes as long as one of those that are to be spared, and finds next to nothing.
    See ``docs/decisions/0006-freezing-startup-objects.md``.
    """
    if conf.getboolean("toggl", "receiver_freeze_startup_objects", fallback=True):
        gc.freeze()


def build_receiver(conn_ids: Sequence[str]) -> Receiver:
    """Return the receiver of these connections; nothing is looked up or opened yet."""
    telemetry.connect()
    threading.Thread(target=telemetry.warm_up, name="toggl-metrics", daemon=True).start()
    return Receiver(conn_ids, find_receiving_connection, open_receiving_store)


def find_receiving_connection(conn_id: str) -> ReceivingConnection | None:
    """Return what the receiver must know of a connection, None where Airflow does not find it. Blocks."""
    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        return None
    extra: dict[str, Any] = dict(connection.extra_dejson)
    secrets = (extra.get("webhook_secret"), extra.get("previous_webhook_secret"))
    return ReceivingConnection(
        conn_id=conn_id,
        secrets=tuple(str(secret) for secret in secrets if secret),
        workspace_id=_workspace_id(extra.get("workspace_id")),
        store=str(extra.get("event_store_conn_id") or ""),
        echoes=extra.get("webhook_validation", "synchronous") != "asynchronous",
    )


def get_receiving_connection(conn_id: str) -> ReceivingConnection:
    """Return a connection that can receive.

    :raises ConfigurationError: it is not there, or has no secret.
    """
    found = find_receiving_connection(conn_id)
    if found is None:
        raise ConfigurationError(f"Connection {conn_id!r} is not there: make it, or receive for another.")
    if not found.secrets:
        raise ConfigurationError(
            f"Connection {conn_id!r} has no webhook_secret in its extra: without it nobody can prove to be Toggl. "
            "Put a long random text there, and run the task that ensures the subscription."
        )
    return found


def open_receiving_store(store: str) -> EventStore:
    """Open the event store of a connection ID, the default one for an empty text, its tables made. Blocks."""
    return open_event_store(event_store_conn_id=store)


def _workspace_id(value: Any) -> int | None:
    """Return the workspace, None where none is set or it is no number: deliveries are kept either way."""
    try:
        return int(str(value))
    except ValueError:
        return None
