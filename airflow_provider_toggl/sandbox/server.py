"""Run a sandbox in the foreground, in a thread or in a process of its own, and call its control API."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

import uvicorn
from starlette.applications import Starlette

from airflow_provider_toggl.sandbox.app import build_app
from airflow_provider_toggl.sandbox.settings import Settings
from airflow_provider_toggl.sandbox.workspace.seed import build_world
from airflow_provider_toggl.sandbox.workspace.world import World

if TYPE_CHECKING:
    from typing_extensions import Self

#: Seconds until a new sandbox must answer; generating its data takes part of them.
READY_SECONDS = 60.0


class SandboxNotStarted(RuntimeError):
    """The sandbox did not start."""


class ControlRefused(RuntimeError):
    """The control API refused a request."""


class SandboxClient:
    """Calls the control API of a sandbox."""

    def __init__(self, url: str) -> None:
        self.url = url

    def health(self) -> dict[str, Any]:
        """Return the status, the token and the ids of the sandbox."""
        return dict(self.control("GET", "health"))

    def airflow_connection(self, **extra: Any) -> str:
        """Return an Airflow connection to the sandbox as JSON, for ``AIRFLOW_CONN_TOGGL_DEFAULT``.

        :param extra: more fields of the connection's extra, such as ``requests_per_second``.
        """
        health = self.health()
        ids = {name: health[name] for name in ("workspace_id", "organization_id")}
        return connection_json(self.url, health["token"], {**ids, **extra})

    def truth(self, stream: str) -> list[dict[str, Any]]:
        """Return all records of a stream as they are now; deleted ones have ``deleted_at``."""
        return list(self.control("GET", f"truth/{stream}"))

    def mutate(self, *, seed: int, n: int, kinds: Iterable[str] | None = None) -> list[dict[str, Any]]:
        """Make random changes, and return them; see ``sandbox.mutate.mutate``."""
        order = {"seed": seed, "n": n, **({"kinds": list(kinds)} if kinds is not None else {})}
        return list(self.control("POST", "mutate", order))

    def advance(self, seconds: float) -> None:
        """Advance the sandbox's clock."""
        self.control("POST", "clock", {"advance_seconds": seconds})

    def requests(self) -> dict[str, Any]:
        """Return the counts of requests, and the last ones."""
        return dict(self.control("GET", "requests"))

    def reset_requests(self) -> None:
        """Empty the log of requests."""
        self.control("POST", "requests/reset")

    def fault(self, kind: str, **options: Any) -> dict[str, Any]:
        """Inject a fault into API responses."""
        return dict(self.control("POST", "faults", {"kind": kind, **options}))

    def clear_faults(self) -> None:
        """Remove all faults of API responses."""
        self.control("DELETE", "faults")

    def set(self, **settings: Any) -> dict[str, Any]:
        """Change settings, and return all."""
        return dict(self.control("PATCH", "settings", settings))

    def change_user(self, user_id: int | Literal["owner"] = "owner", **fields: Any) -> dict[str, Any]:
        """Change ``is_admin``, ``inactive`` or ``timezone`` of a user, and return their record."""
        return dict(self.control("PATCH", f"users/{user_id}", fields))

    def reset_quota(self) -> None:
        """Reset all quotas and rate limits."""
        self.control("POST", "quota/reset")

    def webhook_events(self, after: int = 0) -> list[dict[str, Any]]:
        """Return the events of subscriptions, oldest first, without the first ``after``."""
        return list(self.control("GET", f"webhooks/events?after={after}"))

    def webhook_deliveries(self) -> dict[str, Any]:
        """Return counts of outcomes, pending deliveries, and the last attempts."""
        return dict(self.control("GET", "webhooks/deliveries"))

    def webhook_fault(self, kind: str, **options: Any) -> dict[str, Any]:
        """Inject a fault into the delivery of events."""
        return dict(self.control("POST", "webhooks/faults", {"kind": kind, **options}))

    def clear_webhook_faults(self) -> None:
        """Remove all faults of deliveries."""
        self.control("DELETE", "webhooks/faults")

    def redeliver_webhooks(self, event_ids: Iterable[int] | None = None) -> int:
        """Send events again, all by default; return how many."""
        ids: Any = "all" if event_ids is None else list(event_ids)
        return int(self.control("POST", "webhooks/redeliver", {"event_ids": ids})["sent"])

    def flush_webhooks(self, timeout: float = 30.0) -> int:
        """Wait until nothing is pending, at most ``timeout`` seconds; return the pending deliveries."""
        return int(self.control("POST", "webhooks/flush", {"timeout": timeout})["pending"])

    def control(self, method: str, name: str, body: Any = None) -> Any:
        """Call the control API.

        :raises ControlRefused: it answered with an error; the exception has its text.
        """
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - the address is the caller's own sandbox
            f"{self.url}/sandbox/{name}", data, {"Content-Type": "application/json"}, method=method
        )
        # A proxy of the environment is not for this machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=READY_SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise ControlRefused(f"{error.code}: {error.read().decode(errors='replace')}") from None

    def close(self) -> None:
        """Stop the sandbox, if this object started it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class RunningSandbox(SandboxClient):
    """A sandbox in a thread of this process; tests can use its ``world`` directly.

    Use it as a context manager, or call ``close``.
    """

    def __init__(self, world: World, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.world = world
        self.app = build_app(world)
        self._socket = listen(host, port)
        super().__init__(f"http://{host}:{self._socket.getsockname()[1]}")
        self._server = _Server(self.app)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="sandbox", daemon=True)
        self._thread.start()
        wait_until_ready(self, alive=self._thread.is_alive)

    @property
    def token(self) -> str:
        """Return the API token that it accepts."""
        return self.world.owner.token

    @property
    def workspace_id(self) -> int:
        """Return the id of its one workspace."""
        return self.world.workspace.id

    def close(self) -> None:
        """Stop the sandbox, and wait until its port is free."""
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(timeout=10)
        self._socket.close()


class SandboxProcess(SandboxClient):
    """A sandbox in a process of its own. Use it as a context manager, or call ``close``."""

    def __init__(self, arguments: Iterable[str] = (), *, host: str = "127.0.0.1", port: int = 0) -> None:
        port = port or free_port(host)
        super().__init__(f"http://{host}:{port}")
        command = [sys.executable, "-m", "airflow_provider_toggl.sandbox", "--host", host, "--port", str(port)]
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter and this package
            [*command, *arguments], stdout=subprocess.DEVNULL
        )
        try:
            health = wait_until_ready(self, alive=lambda: self._process.poll() is None)
        except BaseException:
            self.close()
            raise
        self.token: str = health["token"]
        self.workspace_id: int = health["workspace_id"]

    def close(self) -> None:
        """Stop the sandbox."""
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def connection_json(url: str, token: str, extra: dict[str, Any]) -> str:
    """Return an Airflow connection as JSON."""
    return json.dumps({"conn_type": "toggl", "host": url, "password": token, "extra": extra})


def start_sandbox(*, port: int = 0, settings: Settings | None = None, **world: Any) -> RunningSandbox:
    """Start a sandbox in a thread.

    :param port: 0 for a free one.
    :param settings: by default, all settings have their defaults.
    :param world: parameters of ``build_world``: ``seed``, ``entries``, ``plan``, ``workspace_id``, ``days`` and others.
    """
    return RunningSandbox(build_world(settings=settings, **world), port=port)


def serve(world: World, *, listening: socket.socket) -> None:
    """Serve a world in the foreground until the process receives a signal to stop."""
    # The world is large and stays, so the garbage collector should not scan it again and again.
    gc.collect()
    gc.freeze()
    with contextlib.suppress(KeyboardInterrupt):  # the server has stopped by then, and passes the signal on
        _Server(build_app(world)).run([listening])


class _Server(uvicorn.Server):
    """Stops the delivery of events before it stops itself."""

    def __init__(self, app: Starlette) -> None:
        super().__init__(server_config(app))
        self._dispatcher = app.state.sandbox.dispatcher

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop serving; requests that wait for deliveries would otherwise delay it."""
        await asyncio.to_thread(self._dispatcher.close)
        await super().shutdown(sockets)


def server_config(app: Any) -> uvicorn.Config:
    """Return uvicorn's configuration: the app sets Date and Server itself, and there is no access log."""
    # Connections that an injected fault closes are expected, so uvicorn must not log them.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        lifespan="off",
        ws="none",  # these APIs have no WebSockets, and loading them warns with some versions
        timeout_graceful_shutdown=1,
    )


def listen(host: str, port: int) -> socket.socket:
    """Bind and listen before anything else, so that a port in use is reported at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(2048)
    except OSError:
        listening.close()
        raise
    return listening


def free_port(host: str) -> int:
    """Return a port that is free now."""
    with listen(host, 0) as found:
        port: int = found.getsockname()[1]
        return port


def wait_until_ready(remote: SandboxClient, *, alive: Any) -> dict[str, Any]:
    """Wait until the sandbox answers, and return its health.

    :raises SandboxNotStarted: it ended, or did not answer in time.
    """
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            return remote.health()
        except (OSError, ControlRefused):
            if not alive():
                raise SandboxNotStarted(f"The sandbox at {remote.url} ended before it answered.") from None
            time.sleep(0.02)
    raise SandboxNotStarted(f"The sandbox at {remote.url} did not answer in {READY_SECONDS:.0f} s.")
