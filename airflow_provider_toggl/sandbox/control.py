"""The control API: read the truth, change the data, advance the clock, inject faults, change settings."""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from airflow_provider_toggl.sandbox.faults import API_KINDS, ArmedFaults, MalformedFault
from airflow_provider_toggl.sandbox.mutate import UnknownMutation, mutate
from airflow_provider_toggl.sandbox.rate_limits import RateLimits
from airflow_provider_toggl.sandbox.settings import SettingError
from airflow_provider_toggl.sandbox.webhooks.dispatcher import Dispatcher
from airflow_provider_toggl.sandbox.webhooks.records import WebhookEvent
from airflow_provider_toggl.sandbox.webhooks.registry import WebhookRegistry
from airflow_provider_toggl.sandbox.workspace.truth import UnknownStream, truth
from airflow_provider_toggl.sandbox.workspace.world import World

#: Most changes by one request: others wait meanwhile.
MOST_MUTATIONS = 100_000
#: Most seconds that a request waits for deliveries.
LONGEST_FLUSH = 300.0
#: Most deliveries that one request may queue: more would fill the memory.
MOST_REDELIVERED = 1_000_000
#: Single requests kept; counts include all.
MOST_CALLS = 10_000
LANES = ("user", "organization", "none")


class RequestLog:
    """Counts by endpoint, lane and status, and the last requests; those to the control API are not in it."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Empty the log."""
        self._by_endpoint: Counter[str] = Counter()
        self._by_lane: Counter[str] = Counter()
        self._by_status: Counter[str] = Counter()
        self._calls: deque[dict[str, Any]] = deque(maxlen=MOST_CALLS)

    def add(self, endpoint: str, call: dict[str, Any]) -> None:
        """Record one answered request.

        :param endpoint: ``METHOD /template``.
        :param call: ``at``, ``method``, ``path``, ``query``, ``body``, ``lane``, ``status``, ``token_digest``
        """
        self._by_endpoint[endpoint] += 1
        self._by_lane[call["lane"]] += 1
        self._by_status[str(call["status"])] += 1
        self._calls.append(call)

    def as_dict(self) -> dict[str, Any]:
        """Return all counts and the last requests as the control API shows them."""
        return {
            "total": sum(self._by_endpoint.values()),
            "by_endpoint": dict(sorted(self._by_endpoint.items())),
            "by_lane": {lane: self._by_lane[lane] for lane in LANES},
            "by_status": dict(sorted(self._by_status.items())),
            "calls": list(self._calls),
        }


@dataclass
class Sandbox:
    """The parts of one sandbox.

    :param caches: lists that reports keep from one page to the next.
    """

    world: World
    rate_limits: RateLimits
    registry: WebhookRegistry
    dispatcher: Dispatcher
    faults: ArmedFaults = field(default_factory=lambda: ArmedFaults(API_KINDS))
    log: RequestLog = field(default_factory=RequestLog)
    caches: dict[Any, Any] = field(default_factory=dict)

    @classmethod
    def around(cls, world: World) -> Sandbox:
        """Build a sandbox around a world."""
        registry = WebhookRegistry(world)
        dispatcher = Dispatcher(registry)
        world.listeners.append(dispatcher.on_change)
        return cls(world, RateLimits(world.settings, lambda: world.now().timestamp()), registry, dispatcher)


class ControlError(ValueError):
    """A malformed request to the control API."""


Action = Callable[[Request, Any], Any]


def routes(sandbox: Sandbox) -> list[Route]:
    """Build the routes of the control API of a sandbox."""
    control = Control(sandbox)
    table: list[tuple[str, str, Action]] = [
        ("GET", "/sandbox/health", control.read_health),
        ("GET", "/sandbox/truth/{stream}", control.read_truth),
        ("POST", "/sandbox/mutate", control.mutate),
        ("GET", "/sandbox/clock", control.read_clock),
        ("POST", "/sandbox/clock", control.move_clock),
        ("GET", "/sandbox/requests", control.read_requests),
        ("POST", "/sandbox/requests/reset", control.reset_requests),
        ("GET", "/sandbox/faults", control.read_faults),
        ("POST", "/sandbox/faults", control.inject_fault),
        ("DELETE", "/sandbox/faults", control.clear_faults),
        ("GET", "/sandbox/settings", control.read_settings),
        ("PATCH", "/sandbox/settings", control.change_settings),
        ("PATCH", "/sandbox/workspace", control.change_workspace),
        ("PATCH", "/sandbox/users/{user_id}", control.change_user),
        ("POST", "/sandbox/quota/reset", control.reset_quota),
        ("GET", "/sandbox/webhooks/deliveries", control.read_deliveries),
        ("GET", "/sandbox/webhooks/events", control.read_events),
        ("GET", "/sandbox/webhooks/faults", control.read_delivery_faults),
        ("POST", "/sandbox/webhooks/faults", control.inject_delivery_fault),
        ("DELETE", "/sandbox/webhooks/faults", control.clear_delivery_faults),
        ("POST", "/sandbox/webhooks/redeliver", control.redeliver),
        ("POST", "/sandbox/webhooks/flush", control.flush),
    ]
    blocking = {control.flush}
    return [Route(path, _endpoint(action, action in blocking), methods=[method]) for method, path, action in table]


class Control:
    """One method for each endpoint. ``flush`` blocks, so the caller runs it in a thread."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def read_health(self, request: Request, body: Any) -> Any:
        """Return the IDs, the owner's ``token`` and the number of live ``time_entries``."""
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
        """Return all records of a stream as they are now, deleted ones with ``deleted_at``.

        ``time_entries``, ``projects``, ``clients``, ``tags``, ``tasks``, ``users``, ``project_users`` and ``groups``
        have fields of their own, other streams the columns of their tables.
        """
        return truth(self._sandbox.world, request.path_params["stream"])

    def mutate(self, request: Request, body: Any) -> Any:
        """Make random changes: ``{"seed": 1, "n": 50, "kinds": ["late_edit"]}``.

        Without ``kinds``, they are ordinary ones. Each is returned with ``kind``, ``stream``, ``ids`` and ``changed``.
        """
        seed, n, kinds = body.get("seed", 0), body.get("n", 1), body.get("kinds")
        _only(body, {"seed", "n", "kinds"})
        if not _is_integer(seed) or not _is_integer(n) or not 0 <= n <= MOST_MUTATIONS:
            raise ControlError(f"seed and n must be integers, n from 0 to {MOST_MUTATIONS}.")
        if kinds is not None and not (isinstance(kinds, list) and all(isinstance(kind, str) for kind in kinds)):
            raise ControlError("kinds must be a list of texts.")
        with self._sandbox.dispatcher.holding():
            return mutate(self._sandbox.world, seed=seed, n=n, kinds=kinds)

    def read_clock(self, request: Request, body: Any) -> Any:
        """Return ``now`` and ``offset_seconds``."""
        world = self._sandbox.world
        return {"now": world.now().isoformat().replace("+00:00", "Z"), "offset_seconds": world.offset}

    def move_clock(self, request: Request, body: Any) -> Any:
        """Advance the clock, with quota windows, buckets and times of changes: ``{"advance_seconds": 3600}``."""
        _only(body, {"advance_seconds"})
        seconds = body.get("advance_seconds")
        if not _is_number(seconds) or not math.isfinite(seconds):
            raise ControlError("advance_seconds must be a number.")
        if not 0 <= seconds <= 1e9:
            raise ControlError("advance_seconds must be from 0 to 1e9: the clock cannot go back.")
        self._sandbox.world.advance(float(seconds))
        return self.read_clock(request, body)

    def read_requests(self, request: Request, body: Any) -> Any:
        """Return ``total``, ``by_endpoint``, ``by_lane`` and ``by_status``, and the last 10,000 requests in ``calls``.

        A call has ``at``, ``method``, ``path``, ``query``, ``body``, ``lane``, ``status`` and a digest of the token.
        """
        return self._sandbox.log.as_dict()

    def reset_requests(self, request: Request, body: Any) -> Any:
        """Start counting requests again; quota windows stay."""
        self._sandbox.log.reset()
        return {"total": 0}

    def read_faults(self, request: Request, body: Any) -> Any:
        """Return the injected faults."""
        return self._sandbox.faults.as_list()

    def inject_fault(self, request: Request, body: Any) -> Any:
        """Inject a fault."""
        return self._sandbox.faults.inject(body).as_dict()

    def clear_faults(self, request: Request, body: Any) -> Any:
        """Remove all faults."""
        return {"cleared": self._sandbox.faults.clear()}

    def read_settings(self, request: Request, body: Any) -> Any:
        """Return all settings."""
        return self._sandbox.world.settings.as_dict()

    def change_settings(self, request: Request, body: Any) -> Any:
        """Change settings by name, all or none."""
        self._sandbox.world.settings.update(body)
        self._sandbox.caches.clear()
        return self._sandbox.world.settings.as_dict()

    def change_workspace(self, request: Request, body: Any) -> Any:
        """Change the default rounding of reports: ``{"rounding": 1, "rounding_minutes": 15}``."""
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
        """Change the rights or zone of a person (``owner``: the token's): ``is_admin``, ``inactive``, ``timezone``."""
        _only(body, {"is_admin", "inactive", "timezone"})
        world, name = self._sandbox.world, request.path_params["user_id"]
        user = world.owner if name == "owner" else world.users.get(int(name) if name.isdecimal() else 0)
        if user is None:
            raise ControlError(f"No such user: {name}. Give an id, or owner.")
        wanted = {"is_admin": bool, "inactive": bool, "timezone": str}
        if not all(isinstance(value, wanted[field]) for field, value in body.items()):
            raise ControlError("is_admin and inactive must be true or false, timezone a text.")
        try:
            world.change_user(user, **body)
        except ValueError as error:
            raise ControlError(str(error)) from error
        return next(row for row in truth(world, "users") if row["id"] == user.id)

    def reset_quota(self, request: Request, body: Any) -> Any:
        """Empty all quota windows and buckets."""
        self._sandbox.rate_limits.reset()
        return {"reset": True}

    # webhooks

    def read_deliveries(self, request: Request, body: Any) -> Any:
        """Return counts in ``outcomes`` (``event_failed``, …), ``pending``, and the last 1,000 ``attempts``."""
        return self._sandbox.dispatcher.status()

    def read_events(self, request: Request, body: Any) -> Any:
        """Return the last 200,000 events, oldest first; ``?after=`` skips so many of all created ones.

        An event has ``acknowledged``, ``given_up``, ``dropped`` and ``attempts``.
        """
        after = request.query_params.get("after", "0")
        if not (after.isascii() and after.isdigit() and len(after) <= 18):
            raise ControlError("after must be an integer.")
        return [_event(event) for event in self._sandbox.registry.events_after(int(after))]

    def inject_delivery_fault(self, request: Request, body: Any) -> Any:
        """Inject a fault into the deliveries of later changes.

        The kind ``flood`` sends all kept events again at once, ``copies`` (1) times; it needs no ``times``.
        """
        if body.get("kind") == "flood":
            _only(body, {"kind", "copies"})
            copies = body.get("copies", 1)
            if not _is_integer(copies) or copies < 1:
                raise ControlError("copies must be an integer of 1 or more.")
            return {"kind": "flood", "sent": self._send_again(self._sandbox.registry.events_after(0), copies)}
        return self._sandbox.dispatcher.faults.inject(body).as_dict()

    def clear_delivery_faults(self, request: Request, body: Any) -> Any:
        """Remove all faults."""
        return {"cleared": self._sandbox.dispatcher.faults.clear()}

    def read_delivery_faults(self, request: Request, body: Any) -> Any:
        """Return the injected faults."""
        return self._sandbox.dispatcher.faults.as_list()

    def redeliver(self, request: Request, body: Any) -> Any:
        """Send events again, also dropped ones: ``{"event_ids": [1, 2]}``, or all that are kept."""
        _only(body, {"event_ids"})
        ids = body.get("event_ids", "all")
        events = self._sandbox.registry.events_after(0)
        if ids == "all":
            return {"sent": self._send_again(events)}
        if not isinstance(ids, list) or not all(isinstance(one, int) for one in ids):
            raise ControlError("event_ids must be a list of ids, or all.")
        wanted = set(ids)
        return {"sent": self._send_again([event for event in events if event.id in wanted])}

    def flush(self, request: Request, body: Any) -> Any:
        """Wait until nothing is pending, at most ``{"timeout": 30}`` seconds; return ``pending``."""
        _only(body, {"timeout"})
        timeout = body.get("timeout", 30.0)
        if not _is_number(timeout) or not 0 <= timeout <= LONGEST_FLUSH:
            raise ControlError(f"timeout must be a number of seconds, at most {LONGEST_FLUSH:g}.")
        return {"pending": self._sandbox.dispatcher.flush(float(timeout))}

    def _send_again(self, events: list[WebhookEvent], copies: int = 1) -> int:
        if len(events) * copies > MOST_REDELIVERED:
            raise ControlError(f"One request cannot queue more than {MOST_REDELIVERED:,} deliveries.")
        return self._sandbox.dispatcher.redeliver(events, copies)


def _endpoint(action: Action, blocks: bool) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            body = await _body(request)
            if blocks:
                return _json(await asyncio.to_thread(action, request, body))
            return _json(action(request, body))
        except (ControlError, MalformedFault, SettingError, UnknownMutation, UnknownStream) as error:
            return _json({"error": str(error)}, 400)

    return endpoint


async def _body(request: Request) -> Any:
    raw = await request.body()
    if request.method not in ("POST", "PATCH") or not raw:
        return {}
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise ControlError("The body is not JSON.") from error
    if not isinstance(body, dict):
        raise ControlError("The body must be a JSON object.")
    return body


def _only(body: dict[str, Any], known: set[str]) -> None:
    unknown = sorted(set(body) - known)
    if unknown:
        raise ControlError(f"Unknown fields: {', '.join(unknown)}. Known fields: {', '.join(sorted(known))}.")


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or _is_integer(value)


def _event(event: WebhookEvent) -> dict[str, Any]:
    return {
        "event_id": event.id,
        "subscription_id": event.subscription_id,
        "entity": event.entity,
        "action": event.action,
        "entity_id": event.entity_id,
        "acknowledged": event.acknowledged,
        "given_up": event.given_up,
        "dropped": event.dropped,
        "attempts": event.attempts,
    }


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, {"content-type": "application/json; charset=utf-8"})
