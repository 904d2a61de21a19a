"""Serves the receiver in Airflow's API server, below ``/toggl``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from airflow.providers.common.compat.sdk import AirflowPlugin


class LateReceiver:
    """Builds the receiver when the first request comes: every component of Airflow imports plugins, one serves them.

    Where ``[toggl] receiver_connections`` is empty, everything is answered 404.
    """

    def __init__(self) -> None:
        self._receiver: Callable[..., Awaitable[None]] | None = None

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Serve one request."""
        if self._receiver is None:
            from airflow_provider_toggl.hooks import receiver  # noqa: PLC0415

            conn_ids = receiver.receiver_connections()
            self._receiver = receiver.build_receiver(conn_ids)
            if conn_ids:
                receiver.freeze_startup_objects()
        await self._receiver(scope, receive, send)


class TogglPlugin(AirflowPlugin):
    """What the provider adds to the API server. Its endpoint has no login: a signature proves each sender."""

    name = "toggl"
    # Airflow declares it as a variable of each plugin.
    fastapi_apps: list[Any] = [{"app": LateReceiver(), "url_prefix": "/toggl", "name": "Toggl receiver"}]  # noqa: RUF012
