"""Serve the receiver in Airflow's API server, below ``/toggl``, and the page in its UI, below ``/toggl-page``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import AirflowPlugin, conf

PAGE = "/toggl-page"
"""The path of the page. It is not below ``/toggl``, which may be public so that Toggl can deliver."""


App = Callable[..., Awaitable[None]]


class LazyApp:
    """Builds an application at its first request: all components of Airflow import plugins, and only one serves them.

    :param build: returns the application. Called once, in a thread, because the event loop serves other requests.
    """

    def __init__(self, build: Callable[[], App]) -> None:
        self._build = build
        self._building = asyncio.Lock()
        self._app: App | None = None

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Serve one request."""
        if self._app is None:
            async with self._building:
                if self._app is None:
                    self._app = await asyncio.to_thread(self._build)
        await self._app(scope, receive, send)


def build_receiver() -> App:
    """Return the receiver. If ``[toggl] receiver_connections`` is empty, it answers every request 404."""
    from airflow_provider_toggl.hooks import receiver, settings  # noqa: PLC0415 - see above

    conn_ids = settings.receiver_connections()
    built = receiver.build_receiver(conn_ids)
    if conn_ids:
        receiver.freeze_startup_objects()
    return built


def build_page() -> App:
    """Return the page's application."""
    from airflow_provider_toggl.page import app  # noqa: PLC0415 - see above

    return app.build_page()


def page_link() -> str:
    """Return the path of the page, including the path that Airflow is served below."""
    root = urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")
    return f"{root}{PAGE}"


class TogglPlugin(AirflowPlugin):
    """The provider's applications in the API server.

    The receiver has no login, because deliveries are signed. The page uses Airflow's login and permissions.
    """

    name = "toggl"
    # Airflow declares it as an instance variable.
    fastapi_apps: list[Any] = [  # noqa: RUF012
        {"app": LazyApp(build_receiver), "url_prefix": "/toggl", "name": "Toggl receiver"},
        {"app": LazyApp(build_page), "url_prefix": PAGE, "name": "Toggl page"},
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
