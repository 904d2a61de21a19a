"""Sandboxes with a stopped clock, served one after another by one server, and clients of their APIs."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

import requests
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from support.servers.http import Callback
from typing_extensions import Self

from airflow_provider_toggl.sandbox.app import build_app
from airflow_provider_toggl.sandbox.server import SandboxClient, listen, server_config, wait_until_ready
from airflow_provider_toggl.sandbox.settings import Settings
from airflow_provider_toggl.sandbox.webhooks.records import WebhookSubscription
from airflow_provider_toggl.sandbox.webhooks.registry import WebhookRegistry
from airflow_provider_toggl.sandbox.workspace.records import TimeEntry
from airflow_provider_toggl.sandbox.workspace.seed import build_world
from airflow_provider_toggl.sandbox.workspace.world import World, live

NOON = datetime(2026, 3, 10, 12, 0, 0, 250_000, tzinfo=timezone.utc)


def build_still_world(*, entries: int = 300, days: int = 60, now: datetime = NOON, **settings: Any) -> World:
    """Build a world whose clock advances only on request; without a quota unless settings set one."""
    own = Settings()
    own.update({"quota_enforced": False, **settings})
    return build_world(seed=3, entries=entries, days=days, now=now, plan=own.plan, settings=own, clock=lambda: now)


def request_times(calls: Iterable[dict[str, Any]]) -> list[float]:
    """Return the times of a sandbox's logged requests in order, in seconds since the epoch."""
    return sorted(datetime.fromisoformat(call["at"].replace("Z", "+00:00")).timestamp() for call in calls)


class AppServer:
    """An ASGI app served in a thread. Use it as a context manager, or call ``close``.

    :param app: must answer as a sandbox at ``/sandbox/health``.
    :param address: the IP address that it listens on.
    """

    def __init__(self, app: ASGIApp, address: str = "127.0.0.1") -> None:
        self._socket = listen(address, 0)
        self.url = f"http://{address}:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(server_config(app))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        self._thread.start()
        wait_until_ready(SandboxClient(self.url), alive=self._thread.is_alive)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving."""
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(timeout=10)
        self._socket.close()


class SandboxHost(AppServer):
    """One server for all tests of a process: starting a server takes longer than most tests."""

    def __init__(self) -> None:
        self._app = build_app(build_still_world(entries=0))
        super().__init__(self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    def serve(self, world: World) -> HostedSandbox:
        """Serve this world from now on, and stop everything of the one before."""
        self._app.state.sandbox.dispatcher.close()
        self._app = build_app(world)
        return HostedSandbox(self.url, world)


class HostedSandbox(SandboxClient):
    """A sandbox of one test."""

    def __init__(self, url: str, world: World) -> None:
        super().__init__(url)
        self.world = world
        self.token = world.owner.token
        self.workspace_id = world.workspace.id


class ApiCaller:
    """Sends requests to a sandbox as one user."""

    def __init__(self, sandbox: HostedSandbox, token: str | None = None) -> None:
        self.sandbox = sandbox
        self.world = sandbox.world
        self.url = sandbox.url
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.auth = (token or sandbox.token, "api_token")
        self.session.headers["Content-Type"] = "application/json"

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        """Send any request."""
        return self.session.request(method, self.url + path, json=body, timeout=30, **options)

    def get(self, path: str, **query: Any) -> requests.Response:
        """Send a GET below /api/v9; ``{ws}`` and ``{org}`` become the ids."""
        return self.call("GET", "/api/v9" + self.fill(path), params=query)

    def write(self, method: str, path: str, body: Any = None, **query: Any) -> requests.Response:
        """Send a write below /api/v9."""
        return self.call(method, "/api/v9" + self.fill(path), body, params=query)

    def report(self, name: str, body: Any = None, **options: Any) -> requests.Response:
        """Request a report."""
        return self.call("POST", f"/reports/api/v3/workspace/{self.sandbox.workspace_id}/{name}", body, **options)

    def search(self, **body: Any) -> requests.Response:
        """Request a detailed report, by default of the last 60 days."""
        return self.report("search/time_entries", {"start_date": "2026-01-09", "end_date": "2026-03-10", **body})

    def search_all(self, **body: Any) -> list[dict[str, Any]]:
        """Return the rows of all pages of a detailed report."""
        rows: list[dict[str, Any]] = []
        first: str | None = "1"
        while first:
            page = self.search(first_row_number=int(first), **body)
            assert page.status_code == 200, page.text
            rows.extend(page.json())
            first = page.headers.get("X-Next-Row-Number")
        return rows

    def found(self, **body: Any) -> set[int]:
        """Return the ids of the time entries of a detailed report."""
        return {one["id"] for row in self.search_all(**body) for one in row["time_entries"]}

    def live_entries(self) -> list[TimeEntry]:
        """Return the time entries that are not deleted."""
        return live(self.world.time_entries.values())

    def live_ids(self, table: str) -> set[int]:
        """Return the ids of the records of a table of the world that are not deleted."""
        return {one.id for one in live(getattr(self.world, table).values())}

    def fill(self, path: str) -> str:
        """Insert the ids of workspace and organization into a path."""
        return path.format(ws=self.sandbox.workspace_id, org=self.world.organization.id)

    def close(self) -> None:
        """Close its connections."""
        self.session.close()


SECRET = "whsec-3d1f"
ALL = [{"entity": "*", "action": "*"}]


class WebhookCaller:
    """Sends requests to the Webhooks API as one user."""

    def __init__(self, toggl: ApiCaller) -> None:
        self.toggl = toggl
        self.sandbox = toggl.sandbox
        self.world = toggl.world
        self.all = f"subscriptions/{toggl.sandbox.workspace_id}"

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        """Send a request below ``/webhooks/api/v1/``."""
        return self.toggl.call(method, f"/webhooks/api/v1/{path}", body, **options)

    def create(self, url: str, **changes: Any) -> requests.Response:
        """Request a subscription, by default an enabled one to all events; fields that are None are left out."""
        body = {
            "url_callback": url,
            "event_filters": ALL,
            "description": "airflow",
            "enabled": True,
            "secret": SECRET,
            **changes,
        }
        return self.call("POST", self.all, {name: value for name, value in body.items() if value is not None})

    def subscribe(self, url: str, **changes: Any) -> dict[str, Any]:
        """Create a subscription and return it."""
        answer = self.create(url, **changes)
        assert answer.status_code == 200, answer.text
        created: dict[str, Any] = answer.json()
        return created

    def one(self) -> dict[str, Any]:
        """Return the only subscription of the list."""
        (found,) = self.call("GET", self.all).json()
        only: dict[str, Any] = found
        return only

    def path(self, subscription: dict[str, Any]) -> str:
        """Return the path of a subscription."""
        return f"{self.all}/{subscription['subscription_id']}"

    def track(self, **fields: Any) -> int:
        """Create a time entry of one hour, and return its id."""
        body = {"created_with": "test", "start": "2026-03-10T09:00:00Z", "duration": 3600, **fields}
        answer = self.toggl.write("POST", "/workspaces/{ws}/time_entries", body)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["id"])

    def flush(self) -> None:
        """Wait until everything is delivered."""
        assert self.sandbox.flush_webhooks(20) == 0


def events_of(callback: Callback) -> list[dict[str, Any]]:
    """Return the received bodies other than PINGs."""
    return [body for body in callback.bodies if body["payload"] != "ping"]


def write_subscription(registry: WebhookRegistry, world: World, **changes: Any) -> WebhookSubscription:
    """Add a validated subscription to a registry; its callback does not exist."""
    fields: dict[str, Any] = {
        "id": registry.next_subscription_id(),
        "workspace_id": world.workspace.id,
        "user_id": world.owner.id,
        "description": "airflow",
        "url_callback": "https://example.org/hook",
        "filters": (("*", "*"),),
        "enabled": True,
        "secret": SECRET,
        "validation_code": "0" * 32,
        "created_at": world.now(),
        "validated_at": world.now(),
        **changes,
    }
    subscription = WebhookSubscription(**fields)
    registry.subscriptions[subscription.id] = subscription
    return subscription
