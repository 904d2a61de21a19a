"""Serves the receiver in Airflow's API server, below ``/toggl``, and the page in its UI, below ``/toggl-page``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import AirflowPlugin, conf

PAGE = "/toggl-page"
"""Where the page is. Not below ``/toggl``: that path may be public, for Toggl to deliver to."""


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


class LatePage:
    """Builds the page when it is first looked at: every component of Airflow imports plugins, one serves them."""

    def __init__(self) -> None:
        self._page: Callable[..., Awaitable[None]] | None = None

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Serve one request."""
        if self._page is None:
            # In a thread: deliveries come in by the same event loop.
            self._page = await asyncio.to_thread(_build_page)
        await self._page(scope, receive, send)


def _build_page() -> Callable[..., Awaitable[None]]:
    from airflow_provider_toggl.page.app import build_page  # noqa: PLC0415 - see above

    return build_page()


def page_link() -> str:
    """Return where the UI finds the page, with the path that Airflow itself is served below."""
    root = urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")
    return f"{root}{PAGE}"


class TogglPlugin(AirflowPlugin):
    """What the provider adds to the API server.

    Its endpoint has no login: a signature proves each sender. Its page asks Airflow who its reader is.
    """

    name = "toggl"
    # Airflow declares it as a variable of each plugin.
    fastapi_apps: list[Any] = [  # noqa: RUF012
        {"app": LateReceiver(), "url_prefix": "/toggl", "name": "Toggl receiver"},
        {"app": LatePage(), "url_prefix": PAGE, "name": "Toggl page"},
    ]
    external_views: list[Any] = [  # noqa: RUF012
        {
            "name": "Toggl",
            "href": f"{page_link()}/",
            "url_route": "toggl",
            "destination": "nav",
            "nav_top_level": True,
            "icon": f"{page_link()}/static/icon.svg",
            "icon_dark_mode": f"{page_link()}/static/icon-dark.svg",
        }
    ]
