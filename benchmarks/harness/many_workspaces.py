"""Many workspaces on a few tokens, loaded by mapped tasks of an Airflow on several hosts.

The workspaces of one token belong to one organization, so they share its quota and the token's bucket, as at Toggl.
"""

from __future__ import annotations

import base64
import json
import re
import tempfile
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send
from support.fleet import Fleet, running_fleet
from support.sandboxes import AppServer, request_times
from support.truth import rows

from airflow_provider_toggl.sandbox.app import build_app
from airflow_provider_toggl.sandbox.rate_limits import QuotaState, RateLimits
from airflow_provider_toggl.sandbox.server import connection_json
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

        When a window is full, the next request waits until a window's length after the first request of the full one.
        """
        windows, rest = divmod(requests - 1, self.quota - RESERVE)
        return windows * self.window + rest / self.rate


class SharedLimits(RateLimits):
    """The limits of a token whose workspaces belong to one organization: one bucket and one quota."""

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
        limits = SharedLimits(settings, lambda: worlds[0].now().timestamp())
        for world in worlds:
            world.organization.id = world.workspace.organization_id = worlds[0].organization.id
            app = build_app(world)
            app.state.sandbox.rate_limits = limits
            self._by_workspace[str(world.workspace.id)] = app
            self._by_token.setdefault(world.owner.token, app)
        self.tokens[token] = worlds

    def calls(self, token: str) -> list[dict[str, Any]]:
        """Return the requests with a token."""
        apps = [self._by_workspace[str(world.workspace.id)] for world in self.tokens[token]]
        return [call for app in apps for call in app.state.sandbox.log.as_dict()["calls"]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the app of its workspace."""
        workspace = re.search(r"/workspaces?/(\d+)", scope["path"])
        app = self._by_workspace[workspace[1]] if workspace else self._by_token.get(_find_token(scope), self._first)
        await app(scope, receive, send)

    @property
    def _first(self) -> Starlette:
        return next(iter(self._by_workspace.values()))


def _find_token(scope: Scope) -> str | None:
    """Return the API token of a request, None without one."""
    scheme, _, credentials = dict(scope["headers"]).get(b"authorization", b"").partition(b" ")
    return base64.b64decode(credentials).decode().partition(":")[0] if scheme else None


def measure_many_workspaces(scenario: Scenario) -> dict[str, Any]:
    """Load all workspaces on three Celery workers; return how long it took, and the least time that Toggl allows.

    The time counts from the first request, so the start of the first processes is not in it.
    """
    toggl = ManyWorkspaces(scenario)
    tasks = [
        {"toggl_conn_id": f"toggl_{number}", "workspace_id": world.workspace.id}
        # Tokens alternate, so that the tasks that run first use all of them.
        for worlds in zip(*toggl.tokens.values(), strict=True)
        for number, world in enumerate(worlds)
    ]
    env = {
        "BENCHMARK_WORKSPACES": json.dumps(tasks),
        "BENCHMARK_PAGE_SIZE": str(PAGE_SIZE),
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": "3",
    }
    with (
        tempfile.TemporaryDirectory(prefix="many-") as name,
        running_fleet(Path(name), own_addresses=False, dags=DAGS, env=env) as fleet,
        AppServer(toggl, fleet.network.gateway) as server,
    ):
        for number, token in enumerate(toggl.tokens):
            extra = {"event_store_conn_id": "toggl_state", "allow_plain_http": True}
            extra |= {"requests_per_second": scenario.rate, "quota_reserve": RESERVE}
            fleet.env[f"AIRFLOW_CONN_TOGGL_{number}"] = connection_json(server.url, token, extra)
        fleet.start()
        state, ended = _run(fleet, scenario)
        found = rows(fleet.data.dsn, 'SELECT workspace_id, count(*) AS n FROM "toggl".time_entries GROUP BY 1')
    calls = [toggl.calls(token) for token in toggl.tokens]
    least = max(scenario.min_seconds(len(of_token)) for of_token in calls)
    seconds = ended - request_times(chain.from_iterable(calls))[0]
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
