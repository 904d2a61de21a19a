"""The control API: read the truth, change the world, move the clock, order faults, switch settings."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from airflow_provider_toggl.sandbox.faults import ArmedFaults, FaultError
from airflow_provider_toggl.sandbox.rate_limits import RateLimits
from airflow_provider_toggl.sandbox.request_log import RequestLog
from airflow_provider_toggl.sandbox.settings import SettingError, Settings
from airflow_provider_toggl.sandbox.webhooks.control import WebhookControl
from airflow_provider_toggl.sandbox.webhooks.delivery_faults import DeliveryFaultError
from airflow_provider_toggl.sandbox.webhooks.dispatcher import Dispatcher
from airflow_provider_toggl.sandbox.webhooks.registry import WebhookRegistry
from airflow_provider_toggl.sandbox.workspace.mutate import UnknownMutation, mutate
from airflow_provider_toggl.sandbox.workspace.truth import UnknownStream, truth
from airflow_provider_toggl.sandbox.workspace.world import World

#: More changes in one request would keep everybody else waiting.
MOST_MUTATIONS = 100_000


@dataclass
class Sandbox:
    """One sandbox: its world, settings, gate, faults, log, and what the reports keep between pages."""

    world: World
    settings: Settings
    gate: RateLimits
    book: WebhookRegistry
    engine: Dispatcher
    faults: ArmedFaults = field(default_factory=ArmedFaults)
    log: RequestLog = field(default_factory=RequestLog)
    caches: dict[Any, Any] = field(default_factory=dict)

    @classmethod
    def around(cls, world: World, settings: Settings) -> Sandbox:
        """Build a sandbox around a world."""
        book = WebhookRegistry(world)
        engine = Dispatcher(book)
        world.listeners.append(engine.on_change)
        return cls(world, settings, RateLimits(settings, lambda: world.now().timestamp()), book, engine)


class ControlError(ValueError):
    """A request to the control API that cannot be understood."""


Action = Callable[[Request, Any], Any]


def routes(sandbox: Sandbox) -> list[Route]:
    """Build the routes of the control API of a sandbox."""
    control, webhooks = Control(sandbox), WebhookControl(sandbox.book, sandbox.engine)
    table: list[tuple[str, str, Action]] = [
        ("GET", "/sandbox/health", control.read_health),
        ("GET", "/sandbox/truth/{stream}", control.read_truth),
        ("POST", "/sandbox/mutate", control.mutate),
        ("GET", "/sandbox/clock", control.read_clock),
        ("POST", "/sandbox/clock", control.move_clock),
        ("GET", "/sandbox/requests", control.read_requests),
        ("POST", "/sandbox/requests/reset", control.reset_requests),
        ("GET", "/sandbox/faults", control.read_faults),
        ("POST", "/sandbox/faults", control.arm_fault),
        ("DELETE", "/sandbox/faults", control.clear_faults),
        ("GET", "/sandbox/settings", control.read_settings),
        ("PATCH", "/sandbox/settings", control.change_settings),
        ("PATCH", "/sandbox/workspace", control.change_workspace),
        ("PATCH", "/sandbox/users/{user_id}", control.change_user),
        ("POST", "/sandbox/quota/reset", control.reset_quota),
        ("GET", "/sandbox/webhooks/deliveries", webhooks.read_deliveries),
        ("GET", "/sandbox/webhooks/events", webhooks.read_events),
        ("GET", "/sandbox/webhooks/faults", webhooks.read_faults),
        ("POST", "/sandbox/webhooks/faults", webhooks.arm),
        ("DELETE", "/sandbox/webhooks/faults", webhooks.clear),
        ("POST", "/sandbox/webhooks/redeliver", webhooks.redeliver),
        ("POST", "/sandbox/webhooks/flush", webhooks.flush),
    ]
    blocking = {webhooks.flush}
    return [Route(path, _endpoint(action, action in blocking), methods=[method]) for method, path, action in table]


class Control:
    """What the control API does, one method each."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def read_health(self, request: Request, body: Any) -> Any:
        """Say that the sandbox is up, and whose token it takes."""
        world = self._sandbox.world
        live = sum(1 for entry in world.time_entries.values() if entry.deleted_at is None)
        return {
            "status": "ok",
            "workspace_id": world.workspace.id,
            "organization_id": world.organization.id,
            "token": world.owner.token,
            "time_entries": live,
        }

    def read_truth(self, request: Request, body: Any) -> Any:
        """Return what is true now of a stream, deleted ones included and marked."""
        return truth(self._sandbox.world, request.path_params["stream"])

    def mutate(self, request: Request, body: Any) -> Any:
        """Change the world at random, and return what was done."""
        seed, n, kinds = body.get("seed", 0), body.get("n", 1), body.get("kinds")
        _only(body, {"seed", "n", "kinds"})
        if not _is_whole(seed) or not _is_whole(n) or not 0 <= n <= MOST_MUTATIONS:
            raise ControlError(f"seed and n must be whole numbers, n from 0 to {MOST_MUTATIONS}.")
        if kinds is not None and not (isinstance(kinds, list) and all(isinstance(kind, str) for kind in kinds)):
            raise ControlError("kinds must be a list of texts.")
        with self._sandbox.engine.holding():
            return mutate(self._sandbox.world, seed=seed, n=n, kinds=kinds)

    def read_clock(self, request: Request, body: Any) -> Any:
        """Return the sandbox's time."""
        world = self._sandbox.world
        return {"now": world.now().isoformat().replace("+00:00", "Z"), "offset_seconds": world.offset}

    def move_clock(self, request: Request, body: Any) -> Any:
        """Move the clock forward."""
        _only(body, {"advance_seconds"})
        seconds = body.get("advance_seconds")
        if not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or not math.isfinite(seconds):
            raise ControlError("advance_seconds must be a number.")
        if not 0 <= seconds <= 1e9:
            raise ControlError("advance_seconds must be from 0 to 1e9: Toggl's clock does not go back.")
        self._sandbox.world.advance(float(seconds))
        return self.read_clock(request, body)

    def read_requests(self, request: Request, body: Any) -> Any:
        """Return the counts of requests, and the last ones."""
        return self._sandbox.log.as_dict()

    def reset_requests(self, request: Request, body: Any) -> Any:
        """Forget the requests so far; quota windows stay."""
        self._sandbox.log.reset()
        return {"total": 0}

    def read_faults(self, request: Request, body: Any) -> Any:
        """Return the armed faults."""
        return self._sandbox.faults.as_list()

    def arm_fault(self, request: Request, body: Any) -> Any:
        """Order a fault."""
        return self._sandbox.faults.arm(body).as_dict()

    def clear_faults(self, request: Request, body: Any) -> Any:
        """Disarm all faults."""
        return {"cleared": self._sandbox.faults.clear()}

    def read_settings(self, request: Request, body: Any) -> Any:
        """Return all settings."""
        return self._sandbox.settings.as_dict()

    def change_settings(self, request: Request, body: Any) -> Any:
        """Change settings by name, all or none."""
        self._sandbox.settings.update(body)
        self._sandbox.caches.clear()
        return self._sandbox.settings.as_dict()

    def change_workspace(self, request: Request, body: Any) -> Any:
        """Change what the workspace rounds to, as its owner would in Toggl's settings page."""
        _only(body, {"rounding", "rounding_minutes"})
        workspace = self._sandbox.world.workspace
        rounding, minutes = body.get("rounding", workspace.rounding), body.get("rounding_minutes")
        minutes = workspace.rounding_minutes if minutes is None else minutes
        if rounding not in (-1, 0, 1) or minutes not in (0, 1, 5, 6, 10, 12, 15, 30, 60, 240):
            raise ControlError("rounding is -1, 0 or 1; rounding_minutes is 0, 1, 5, 6, 10, 12, 15, 30, 60 or 240.")
        workspace.rounding, workspace.rounding_minutes = rounding, minutes
        self._sandbox.caches.clear()
        return {"rounding": workspace.rounding, "rounding_minutes": workspace.rounding_minutes}

    def change_user(self, request: Request, body: Any) -> Any:
        """Change the rights or the zone of a person, as an administrator or they themselves would in Toggl."""
        _only(body, {"is_admin", "inactive", "timezone"})
        world, name = self._sandbox.world, request.path_params["user_id"]
        user = world.owner if name == "owner" else world.users.get(int(name) if name.isdecimal() else 0)
        if user is None:
            raise ControlError(f"No such user: {name}. It is an id, or owner.")
        wanted = {"is_admin": bool, "inactive": bool, "timezone": str}
        if not all(isinstance(value, wanted[field]) for field, value in body.items()):
            raise ControlError("is_admin and inactive are true or false; timezone is a text.")
        try:
            world.change_user(user, **body)
        except ValueError as problem:
            raise ControlError(str(problem)) from problem
        return next(row for row in truth(world, "users") if row["id"] == user.id)

    def reset_quota(self, request: Request, body: Any) -> Any:
        """Empty all quota windows and buckets."""
        self._sandbox.gate.forget()
        return {"reset": True}


def _endpoint(action: Action, blocks: bool) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            body = await _body(request)
            if blocks:
                return _json(await asyncio.to_thread(action, request, body))
            return _json(action(request, body))
        except (ControlError, FaultError, DeliveryFaultError, SettingError, UnknownMutation, UnknownStream) as problem:
            return _json({"error": str(problem)}, 400)

    return endpoint


async def _body(request: Request) -> Any:
    raw = await request.body()
    if request.method not in ("POST", "PATCH") or not raw:
        return {}
    try:
        body = json.loads(raw)
    except ValueError as problem:
        raise ControlError("The body is not JSON.") from problem
    if not isinstance(body, dict):
        raise ControlError("The body must be a JSON object.")
    return body


def _only(body: dict[str, Any], known: set[str]) -> None:
    unknown = sorted(set(body) - known)
    if unknown:
        raise ControlError(f"Not known here: {', '.join(unknown)}. Known: {', '.join(sorted(known))}.")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, {"content-type": "application/json; charset=utf-8"})
