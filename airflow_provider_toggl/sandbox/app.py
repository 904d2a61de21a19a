"""The ASGI app: rate limit, authentication, quota, injected faults, endpoint and response of every request."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute
from starlette.types import Receive, Scope, Send

from airflow_provider_toggl.sandbox import control
from airflow_provider_toggl.sandbox.control import Sandbox
from airflow_provider_toggl.sandbox.faults import Fault, change_body, hidden_entries_of, rows_of
from airflow_provider_toggl.sandbox.rate_limits import QuotaState
from airflow_provider_toggl.sandbox.reports_v3 import detailed
from airflow_provider_toggl.sandbox.rest_v9 import workspaces
from airflow_provider_toggl.sandbox.routing import ApiRequest, ApiResponse, NoBody, Route, Router
from airflow_provider_toggl.sandbox.settings import Settings
from airflow_provider_toggl.sandbox.webhooks.api import WebhookEndpoints
from airflow_provider_toggl.sandbox.workspace.records import User
from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse, World

JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
HTML = "text/html"
NO_CACHE = "no-cache, private, no-store, must-revalidate, max-stale=0, post-check=0, pre-check=0"
NGINX_PAGE = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n"
    "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
REPORTS = "/reports/"
WEBHOOKS = "/webhooks/"


def build_app(world: World) -> Starlette:
    """Build the app that serves a world; writes and the control API change it."""
    sandbox = Sandbox.around(world)
    pipeline = RequestPipeline(sandbox)
    app = Starlette(routes=[*control.routes(sandbox), StarletteRoute("/{path:path}", pipeline.serve, methods=METHODS)])
    app.state.sandbox = sandbox
    return app


@dataclass
class Exchange:
    """One request, and what the pipeline has found out about it."""

    request: Request
    raw_body: bytes
    path: str
    endpoint: str
    route: Route | None
    names: dict[str, str]
    path_known: bool
    lane: str = "none"
    token: str = ""
    quota: QuotaState | None = None
    faults: list[Fault] = field(default_factory=list)


class RequestPipeline:
    """Takes each request through the checks, in Toggl's order as far as it is known."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        webhooks = WebhookEndpoints(sandbox.registry, sandbox.dispatcher)
        self._routes = Router([*workspaces.ROUTES, *detailed.ROUTES, *webhooks.routes()])

    async def serve(self, request: Request) -> Response:
        """Answer one request and log it; faults may make the answer late or incomplete."""
        path = request.url.path
        route, names, known = self._routes.find(request.method, path)
        shown = route.shown if route else "unknown"
        exchange = Exchange(
            request, await request.body(), path, f"{request.method} {shown}", route, names, known,
            token=(_credentials(request) or ("",))[0],
        )  # fmt: skip
        response = await self._respond(exchange)
        self._log(exchange, response.status_code)
        delay = sum(fault.options["seconds"] for fault in exchange.faults if fault.kind == "slow")
        if delay:
            await asyncio.sleep(delay)
        for fault in exchange.faults:
            if fault.kind == "cut":
                return CutResponse(response, fault.options["fraction"])
        return response

    async def _respond(self, exchange: Exchange) -> Response:
        faults, method = self._sandbox.faults, exchange.request.method
        exchange.lane = exchange.route.lane if exchange.route else "none"
        if exchange.path.startswith(WEBHOOKS) and not self._sandbox.world.settings.webhook_calls_count:
            exchange.lane = "none"
        early = faults.strike(method, exchange.path, before_quota=True)
        if early:
            return self._fault_response(exchange, early[0])
        refusal = self._check_limits(exchange)
        if refusal is not None:
            return refusal
        exchange.faults = faults.strike(method, exchange.path, before_quota=False)
        hanging = [fault for fault in exchange.faults if fault.kind == "hang_up"]
        if hanging:
            return await self._hang_up(exchange, hanging[0])
        answering = [fault for fault in exchange.faults if fault.kind in ("status", "not_json")]
        if answering and not answering[0].options.get("takes_effect"):
            return self._fault_response(exchange, answering[0])
        response = await self._call_endpoint(exchange)
        if answering:
            return self._fault_response(exchange, answering[0])
        response.body = _drop_rows(change_body(response.body, exchange.faults), exchange)
        return self._encode(exchange, response)

    async def _hang_up(self, exchange: Exchange, fault: Fault) -> Response:
        """Close the connection without an answer; call the endpoint before, later or not at all."""
        delay = fault.options["late_seconds"]
        if fault.options["takes_effect"] and delay:
            loop = asyncio.get_running_loop()
            loop.call_later(delay, lambda: loop.create_task(self._call_endpoint(exchange)))
        elif fault.options["takes_effect"]:
            await self._call_endpoint(exchange)
        return NoResponse()

    def _check_limits(self, exchange: Exchange) -> Response | None:
        """Return the refusal by rate limit (429), authentication or quota (402), checked in this order.

        So neither a 429 nor a wrong token counts against the quota.
        """
        limits, settings, world = self._sandbox.rate_limits, self._sandbox.world.settings, self._sandbox.world
        address = exchange.request.client.host if exchange.request.client else ""
        bucket = (exchange.token, address)
        if not limits.admit(bucket):
            wait = str(math.ceil(limits.seconds_until_admitted(bucket)))
            headers = {"retry-after": wait} if settings.retry_after else {}
            return self._page(exchange, "429 Too Many Requests", 429, headers)
        if exchange.route is not None and exchange.route.public:
            return None
        actor = _find_actor(exchange.request, world, settings)
        by_password = actor is not None and exchange.token != actor.token
        if actor is None or (by_password and exchange.path.startswith(WEBHOOKS)):
            return self._refuse_credentials(exchange)
        exchange.request.state.actor = actor
        if exchange.lane == "none" or not self._is_in_scope(exchange):
            return None
        if exchange.endpoint == workspaces.QUOTA_ENDPOINT and not settings.quota_request_counts:
            return None
        admitted, state = limits.charge(exchange.lane, self._lane_key(exchange.lane, actor))
        if settings.quota_enforced:
            exchange.quota = state
        if admitted:
            return None
        text = settings.quota_text.replace("{seconds}", str(state.resets_in_seconds))
        return self._finish(exchange, text.encode(), 402, {"content-type": TEXT})

    def _is_in_scope(self, exchange: Exchange) -> bool:
        world, names = self._sandbox.world, exchange.names
        return int(names.get("workspace_id", world.workspace.id)) == world.workspace.id and (
            int(names.get("organization_id", world.organization.id)) == world.organization.id
        )

    def _refuse_credentials(self, exchange: Exchange) -> Response:
        if exchange.path.startswith(REPORTS):
            text = b"Incorrect username and/or password"
            return self._finish(exchange, text, 403, {"content-type": TEXT})
        status = self._sandbox.world.settings.wrong_token_status
        if status == 401:
            return self._finish(exchange, b"", 401, {})
        return self._encode(exchange, ApiResponse("Incorrect username and/or password", status))

    def _lane_key(self, lane: str, actor: User) -> tuple[int, ...]:
        return (actor.id,) if lane == "user" else (actor.id, self._sandbox.world.organization.id)

    async def _call_endpoint(self, exchange: Exchange) -> ApiResponse:
        route = exchange.route
        if route is None:
            return ApiResponse("Method Not Allowed", 405) if exchange.path_known else ApiResponse("Not Found", 404)
        try:
            self._check_scope(exchange)
            request = self._api_request(exchange)
            return await asyncio.to_thread(route.handler, request) if route.blocks else route.handler(request)
        except ErrorResponse as error:
            return ApiResponse(error.text, error.status)

    def _check_scope(self, exchange: Exchange) -> None:
        request = exchange.request
        is_json = request.headers.get("content-type", "").lower().startswith("application/json")
        if exchange.raw_body and request.method in ("POST", "PUT", "PATCH") and not is_json:
            raise ErrorResponse(400, "Content-Type must be application/json")
        if not self._is_in_scope(exchange) and not (exchange.route and exchange.route.public):
            if exchange.path.startswith(REPORTS):
                raise ErrorResponse(403, "Workspace not found/accessible")
            if exchange.path.startswith(WEBHOOKS):
                raise ErrorResponse(403, "User not found/accessible for workspace")
            if exchange.endpoint == workspaces.ORGANIZATION_ENDPOINT:
                raise ErrorResponse(404, "Invalid organization ID")
            raise ErrorResponse(403, "User does not have access to this resource.")

    def _api_request(self, exchange: Exchange) -> ApiRequest:
        sandbox, request = self._sandbox, exchange.request
        query: dict[str, list[str]] = {}
        for name, value in request.query_params.multi_items():
            query.setdefault(name, []).append(value)
        lag = [fault.options["seconds"] for fault in exchange.faults if fault.kind == "reports_lag"]
        actor = getattr(request.state, "actor", sandbox.world.owner)
        return ApiRequest(
            sandbox.world, actor, exchange.names, query, exchange.raw_body,
            source={
                "method": request.method,
                "path": exchange.path,
                "body": _logged_body(exchange.raw_body),
                "text": exchange.raw_body.decode(errors="replace"),
            },
            site=str(request.base_url).rstrip("/"),
            lag_seconds=max(lag, default=0.0),
            drop_rows=_rows_to_drop(exchange.faults, keep_next=False),
            hidden_entries=hidden_entries_of(exchange.faults),
            caches=sandbox.caches,
            quota_rows=lambda: self._quota_rows(actor),
        )  # fmt: skip

    def _quota_rows(self, actor: User) -> list[dict[str, Any]]:
        quotas = []
        for lane, organization_id in (("organization", self._sandbox.world.organization.id), ("user", None)):
            state = self._sandbox.rate_limits.state(lane, self._lane_key(lane, actor))
            counts = {"remaining": state.remaining, "resets_in_secs": state.resets_in_seconds, "total": state.total}
            quotas.append({"organization_id": organization_id, **counts})
        return quotas

    def _encode(self, exchange: Exchange, response: ApiResponse) -> Response:
        as_text = self._sandbox.world.settings.webhook_errors == "text" and isinstance(response.body, str)
        if as_text and response.status >= 400 and exchange.path.startswith(WEBHOOKS):
            return self._finish(exchange, response.body.encode(), response.status, {"content-type": TEXT})
        body = b"" if isinstance(response.body, NoBody) else msgspec.json.encode(response.body)
        return self._finish(exchange, body, response.status, {"content-type": JSON, **response.headers})

    def _fault_response(self, exchange: Exchange, fault: Fault) -> Response:
        """Return the response that a fault demands."""
        options = fault.options
        if fault.kind == "not_json":
            return self._finish(exchange, options["body"].encode(), 200, {"content-type": options["content_type"]})
        if options["body"] is None:
            return self._page(exchange, _status_line(options["status"]), options["status"], options["headers"])
        as_text = isinstance(options["body"], str)
        body = options["body"].encode() if as_text else msgspec.json.encode(options["body"])
        headers = {"content-type": TEXT if as_text else JSON, **_lower(options["headers"])}
        return self._finish(exchange, body, options["status"], headers)

    def _page(self, exchange: Exchange, title: str, status: int, headers: dict[str, str]) -> Response:
        page = NGINX_PAGE.format(title).encode()
        return self._finish(exchange, page, status, {"content-type": HTML, **_lower(headers)})

    def _finish(self, exchange: Exchange, body: bytes, status: int, headers: dict[str, str]) -> Response:
        date = format_datetime(self._sandbox.world.now().replace(microsecond=0), usegmt=True)
        common = {"date": date, "server": "nginx"}
        if not exchange.path.startswith(REPORTS):
            common["cache-control"] = NO_CACHE
        if status < 400:
            common["x-service-level"] = "GREEN"
        if exchange.quota is not None:
            common["x-toggl-quota-remaining"] = str(exchange.quota.remaining)
            common["x-toggl-quota-resets-in"] = str(exchange.quota.resets_in_seconds)
        return Response(body, status, {**common, **headers})

    def _log(self, exchange: Exchange, status: int) -> None:
        request = exchange.request
        self._sandbox.log.add(
            exchange.endpoint,
            {
                "at": self._sandbox.world.now().isoformat(timespec="microseconds").replace("+00:00", "Z"),
                "method": request.method,
                "path": exchange.path,
                "query": request.url.query,
                "body": _logged_body(exchange.raw_body),
                "lane": exchange.lane,
                "status": status,
                "token_digest": hashlib.sha256(exchange.token.encode()).hexdigest()[:12] if exchange.token else None,
            },
        )


class CutResponse(Response):
    """A response that announces its whole length and stops in the middle."""

    def __init__(self, whole: Response, fraction: float) -> None:
        self._whole = whole
        self._part = bytes(whole.body)[: int(len(whole.body) * fraction)]
        super().__init__(status_code=whole.status_code)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the start and a part; the server then closes the connection, because the body is not finished."""
        start = {"type": "http.response.start", "status": self.status_code, "headers": self._whole.raw_headers}
        await send(start)
        await send({"type": "http.response.body", "body": self._part, "more_body": True})


class NoResponse(Response):
    """No response: the connection is closed instead. The log has nginx's status for this, 444."""

    def __init__(self) -> None:
        super().__init__(status_code=444)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close the connection through the server's transport, because ASGI has no message for it."""
        receive.__self__.transport.abort()  # type: ignore[attr-defined]


def _drop_rows(body: Any, exchange: Exchange) -> Any:
    """Remove the last rows of a page, unless the endpoint has done it."""
    done_by_endpoint = exchange.endpoint == detailed.SEARCH_ENDPOINT
    count = _rows_to_drop(exchange.faults, keep_next=True)
    if not done_by_endpoint:
        count += _rows_to_drop(exchange.faults, keep_next=False)
    rows = rows_of(body)
    if not count or rows is None:
        return body
    kept = rows[: max(0, len(rows) - count)]
    return kept if isinstance(body, list) else {**body, **{name: kept for name in body if body[name] is rows}}


def _rows_to_drop(faults: Iterable[Fault], *, keep_next: bool) -> int:
    short = [fault.options for fault in faults if fault.kind == "short_page"]
    return sum(options["drop_rows"] for options in short if options["keep_next"] is keep_next)


def _credentials(request: Request) -> tuple[str, str] | None:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (name, password) if colon else None


def _find_actor(request: Request, world: World, settings: Settings) -> User | None:
    """Return the user: by token and the word ``api_token``, or by e-mail address and the sandbox's password."""
    credentials = _credentials(request)
    if credentials is None:
        return None
    name, password = credentials
    if password == "api_token":  # noqa: S105 - Toggl's marker that the name is a token
        return world.user_by_token(name)
    if password != settings.password:
        return None
    return next((user for user in world.users.values() if user.email == name and user.deleted_at is None), None)


def _status_line(status: int) -> str:
    titles = {500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Temporarily Unavailable"}
    titles |= {429: "Too Many Requests", 504: "Gateway Time-out", 410: "Gone"}
    return f"{status} {titles.get(status, '')}".strip()


def _lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _logged_body(raw_body: bytes) -> Any:
    try:
        return json.loads(raw_body) if raw_body else None
    except ValueError:
        return raw_body.decode(errors="replace")
