"""Many workspaces on a few tokens, loaded by mapped tasks of an Airflow on several hosts.

The workspaces of one token belong to one organization, so they share its quota and the token's bucket, as at Toggl.
"""

from __future__ import annotations

import base64
import json
import re
import tempfile
import threading
from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send
from support.fleet import Fleet, running_fleet
from support.truth import rows
from support.waiting import wait_until

from airflow_provider_toggl.sandbox.app import build_app
from airflow_provider_toggl.sandbox.rate_limits import QuotaState, RateLimits
from airflow_provider_toggl.sandbox.server import connection_json, listen, server_config
from airflow_provider_toggl.sandbox.settings import Settings
from airflow_provider_toggl.sandbox.workspace.seed import build_world
from airflow_provider_toggl.sandbox.workspace.world import World

DAGS = Path(__file__).parent / "dags"
PAGE_SIZE = 25
RESERVE = 5


@dataclass(frozen=True)
class Scenario:
    """What is loaded, and what Toggl allows.

    :param pages: report pages of each workspace.
    :param quota: requests of each organization in a window.
    :param window: its length in seconds.
    :param rate: requests per second and token.
    """

    tokens: int = 4
    workspaces_per_token: int = 5
    pages: int = 28
    quota: int = 60
    window: float = 120.0
    rate: float = 1.0

    @property
    def entries(self) -> int:
        """Time entries of each workspace."""
        return self.pages * PAGE_SIZE - PAGE_SIZE // 2

    def min_seconds(self, requests: int) -> float:
        """Return the least time in which quota and bucket admit so many requests of one token.

        The last request of a full window is followed by the first of the next one, which begins a window later.
        """
        windows, rest = divmod(requests - 1, self.quota - RESERVE)
        return windows * self.window + rest / self.rate


class OneToken(RateLimits):
    """The limits of a token whose workspaces have one organization."""

    def charge(self, lane: str, key: Hashable) -> tuple[bool, QuotaState]:
        """Count a request of any of the workspaces against one quota."""
        return super().charge(lane, "all")

    def state(self, lane: str, key: Hashable) -> QuotaState:
        """Return the state of the quota of all workspaces."""
        return super().state(lane, "all")


class ManyWorkspaces:
    """An ASGI app that serves all workspaces at one address.

    A path with a workspace ID goes to that workspace, any other to the first workspace of its token.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.tokens: dict[str, list[World]] = {}
        self._by_workspace: dict[str, Starlette] = {}
        self._by_token: dict[str, Starlette] = {}
        for number in range(scenario.tokens):
            token = f"{number:032x}"
            settings = Settings(plan="premium", organization_quota=scenario.quota)
            settings.quota_window_seconds = scenario.window
            settings.bucket_enforced, settings.bucket_rate = True, scenario.rate
            self._add(token, scenario, settings, first_id=7_000_001 + 100 * number)

    def _add(self, token: str, scenario: Scenario, settings: Settings, first_id: int) -> None:
        worlds = [
            build_world(
                seed=workspace_id,
                entries=scenario.entries,
                token=token,
                workspace_id=workspace_id,
                settings=settings,
            )
            for workspace_id in range(first_id, first_id + scenario.workspaces_per_token)
        ]
        limits = OneToken(settings, lambda: worlds[0].now().timestamp())
        for world in worlds:
            world.organization.id = world.workspace.organization_id = worlds[0].organization.id
            app = build_app(world)
            app.state.sandbox.rate_limits = limits
            self._by_workspace[str(world.workspace.id)] = app
            self._by_token.setdefault(world.owner.token, app)
        self.tokens[token] = worlds

    def calls(self, token: str) -> list[dict[str, Any]]:
        """Return the requests with a token, in the order of their times."""
        apps = [self._by_workspace[str(world.workspace.id)] for world in self.tokens[token]]
        calls = [call for app in apps for call in app.state.sandbox.log.as_dict()["calls"]]
        return sorted(calls, key=_time)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the app of its workspace."""
        named = re.search(r"/workspaces?/(\d+)", scope["path"])
        app = self._by_workspace.get(named[1]) if named else self._by_token.get(_token(scope))
        await (app or next(iter(self._by_workspace.values())))(scope, receive, send)


def _token(scope: Scope) -> str:
    given = dict(scope["headers"]).get(b"authorization", b"").partition(b" ")[2]
    return base64.b64decode(given).decode().partition(":")[0]


@contextmanager
def serving(app: ManyWorkspaces, address: str) -> Iterator[str]:
    """Serve the app in a thread, and yield its URL."""
    listening = listen(address, 0)
    server = uvicorn.Server(server_config(app))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started, timeout=30)
        yield f"http://{address}:{listening.getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(timeout=10)
        listening.close()


def measure_many_workspaces(scenario: Scenario) -> dict[str, Any]:
    """Load all workspaces on three Celery workers, and return the time and the least time that Toggl allows.

    The run begins with its first request: the start of processes is the machine's part, not that of quota and pace.
    """
    toggl = ManyWorkspaces(scenario)
    tasks = [
        {"toggl_conn_id": f"toggl_{number}", "workspace_id": world.workspace.id}
        # The first workspaces of all tokens come first, so that every token is in use from the beginning.
        for worlds in zip(*toggl.tokens.values(), strict=True)
        for number, world in enumerate(worlds)
    ]
    env = {
        "BENCHMARK_WORKSPACES": json.dumps(tasks),
        "BENCHMARK_PAGE_SIZE": str(PAGE_SIZE),
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": "3",
        "AIRFLOW__CORE__PARALLELISM": "32",
        # So many tasks at once exhaust the API server's 15 connections.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE": "40",
    }
    with (
        tempfile.TemporaryDirectory(prefix="many-") as name,
        running_fleet(Path(name), own_addresses=False, dags=DAGS, env=env) as fleet,
        serving(toggl, fleet.network.gateway) as url,
    ):
        for number, token in enumerate(toggl.tokens):
            extra = {"event_store_conn_id": "toggl_state", "allow_plain_http": True}
            extra |= {"requests_per_second": scenario.rate, "quota_reserve": RESERVE}
            fleet.env[f"AIRFLOW_CONN_TOGGL_{number}"] = connection_json(url, token, extra)
        fleet.start()
        state, ended = _run(fleet, scenario)
        found = rows(fleet.data.dsn, 'SELECT workspace_id, count(*) AS n FROM "toggl".time_entries GROUP BY 1')
    calls = [toggl.calls(token) for token in toggl.tokens]
    least = max(scenario.min_seconds(len(of_token)) for of_token in calls)
    seconds = ended - min(_time(of_token[0]) for of_token in calls)
    loaded = {row["workspace_id"]: row["n"] for row in found}
    return {
        "state": state,
        "workspaces": len(tasks),
        "requests_by_token": [len(of_token) for of_token in calls],
        "statuses": Counter(str(call["status"]) for of_token in calls for call in of_token),
        "workspaces_incomplete": sum(loaded.get(task["workspace_id"]) != scenario.entries for task in tasks),
        "seconds": round(seconds, 1),
        "min_seconds": round(least, 1),
        "ratio": round(seconds / least, 3),
    }


def _run(fleet: Fleet, scenario: Scenario) -> tuple[str, float]:
    """Run the DAG, and return its state and its end in seconds since the epoch."""
    run = fleet.trigger("many", timeout=120)
    expected = scenario.min_seconds((scenario.pages + 5) * scenario.workspaces_per_token)
    state = fleet.wait_for_run("many", run, timeout=2 * expected + 300)
    ends = [datetime.fromisoformat(task["end_date"]) for task in fleet.task_instances("many", run)]
    return state, max(ends).timestamp()


def _time(call: dict[str, Any]) -> float:
    return datetime.fromisoformat(call["at"].replace("Z", "+00:00")).timestamp()
