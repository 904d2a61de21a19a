"""Webhook subscriptions of a Toggl connection: the client, and the validation codes that the receiver has stored."""

from __future__ import annotations

import logging

from airflow_provider_toggl.core.client.resources.webhooks import WebhooksClient
from airflow_provider_toggl.core.client.retry import RetryPolicy
from airflow_provider_toggl.core.errors import EventStoreError
from airflow_provider_toggl.hooks.toggl import TogglHook

log = logging.getLogger(__name__)


def open_webhooks(
    toggl_conn_id: str, workspace_id: int | str | None = None, *, retry: RetryPolicy | None = None
) -> WebhooksClient:
    """Return the client for the webhook subscriptions of a workspace.

    What Toggl returns about subscriptions is also recorded in the connection's event store, for the health page.

    :param workspace_id: the workspace; by default the connection's.
    :param retry: how often to try again. Use ``hooks.toggl.INTERACTIVE_RETRY`` where a person waits.
    """
    from airflow_provider_toggl.hooks.activity import record_subscription_change, record_subscriptions  # noqa: PLC0415 - they open an event store

    hook = TogglHook(toggl_conn_id, retry=retry)
    workspace = hook.get_workspace_id(workspace_id)
    return WebhooksClient(
        hook.get_conn(),
        workspace,
        on_list=lambda found: record_subscriptions(toggl_conn_id, workspace, found),
        on_change=lambda number, fields: record_subscription_change(toggl_conn_id, workspace, number, fields),
    )


def find_validation_code(toggl_conn_id: str, subscription_id: int) -> str | None:
    """Return the code of the last validation PING that the receiver has stored, None if there is none."""
    from airflow_provider_toggl.hooks.events import open_event_store  # noqa: PLC0415 - few subscriptions need it

    try:
        with open_event_store(toggl_conn_id) as store:
            handshake = store.find_handshake(subscription_id)
    except EventStoreError as error:
        log.warning("The receiver's validation codes cannot be read: %s", error)
        return None
    return handshake.validation_code if handshake else None
