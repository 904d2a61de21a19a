"""What webhook subscriptions take from a Toggl connection: the secret, the callback, the codes that came to it."""

from __future__ import annotations

import ipaddress
import logging
from urllib.parse import urlsplit, urlunsplit

from airflow_provider_toggl.core.client.resources.webhooks import Webhooks
from airflow_provider_toggl.core.client.retry import RetryPolicy
from airflow_provider_toggl.core.errors import ConfigurationError, EventStoreError
from airflow_provider_toggl.hooks.connections import get_toggl_fields
from airflow_provider_toggl.hooks.toggl import TogglHook

log = logging.getLogger(__name__)


def open_webhooks(
    toggl_conn_id: str, workspace_id: int | str | None = None, *, retry: RetryPolicy | None = None
) -> Webhooks:
    """Return the webhooks of a workspace: the given one, or the connection's.

    :param retry: how often to try again; where somebody waits, ``hooks.toggl.SOON``.
    """
    from airflow_provider_toggl.hooks.activity import record_subscription_change, record_subscriptions  # noqa: PLC0415 - they open an event store

    hook = TogglHook(toggl_conn_id, retry=retry)
    workspace = hook.get_workspace_id(workspace_id)
    return Webhooks(
        hook.get_conn(),
        workspace,
        told=lambda found: record_subscriptions(toggl_conn_id, workspace, found),
        changed=lambda number, fields: record_subscription_change(toggl_conn_id, workspace, number, fields),
    )


def get_webhook_secret(toggl_conn_id: str) -> str:
    """Return the secret that the connection's deliveries are signed with.

    :raises ConfigurationError: there is none.
    """
    secret = get_toggl_fields(toggl_conn_id).webhook_secret
    if not secret:
        raise ConfigurationError(
            f"Connection {toggl_conn_id!r} has no webhook secret: put a long random text into webhook_secret of its "
            "extra. Toggl posts a PING while the subscription is being made, so the receiver must know it before."
        )
    return secret


def get_callback_url(toggl_conn_id: str, callback_url: str | None = None) -> str:
    """Return where Toggl is to deliver to: the given address, or the connection's.

    One without a path gets the receiver's.

    :raises ConfigurationError: there is none, or it must not be used.
    """
    fields = get_toggl_fields(toggl_conn_id)
    url = str(callback_url or "").strip() or fields.webhook_callback_url
    if not url:
        raise ConfigurationError(
            f"No callback is given: set webhook_callback_url in the extra of connection {toggl_conn_id!r}, or "
            "callback_url in the task, to the public address of the receiver."
        )
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError("The callback must be a web address, such as https://airflow.example.org.")
    if parts.username or parts.password or parts.fragment:
        raise ConfigurationError(
            "The callback must have no credentials and no # in it; what proves Toggl is the secret."
        )
    if parts.scheme == "http" and not fields.allow_plain_http and not _is_this_machine(parts.hostname):
        raise ConfigurationError(
            f"The callback http://{parts.hostname} would let everybody on the way read the events. Use https, or set "
            "allow_plain_http in the connection's extra if that network is yours."
        )
    if parts.path in ("", "/"):
        parts = parts._replace(path=f"/toggl/webhooks/{toggl_conn_id}")
    return urlunsplit(parts)


def find_validation_code(toggl_conn_id: str, subscription_id: int) -> str | None:
    """Return the code that the last validation PING brought to the receiver, None where it kept none."""
    from airflow_provider_toggl.hooks.events import open_event_store  # noqa: PLC0415 - few subscriptions need it

    try:
        with open_event_store(toggl_conn_id) as store:
            handshake = store.find_handshake(subscription_id)
    except EventStoreError as error:
        log.warning("Whether the receiver keeps a validation code is not known: %s", error)
        return None
    return handshake.validation_code if handshake else None


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
