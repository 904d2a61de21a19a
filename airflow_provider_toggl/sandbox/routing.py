"""The request that an endpoint receives, the response that it returns, and the table of endpoints."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal

from airflow_provider_toggl.sandbox.faults import HiddenEntries
from airflow_provider_toggl.sandbox.settings import Settings
from airflow_provider_toggl.sandbox.workspace.records import TimeEntry, User
from airflow_provider_toggl.sandbox.workspace.world import EntityT, ErrorResponse, World, live

#: Which quota a request counts against.
QuotaLane = Literal["user", "organization", "none"]


class NoBody:
    """The type of ``NO_BODY``: an empty body, which differs from JSON null."""


NO_BODY = NoBody()


@dataclass
class ApiResponse:
    """What an endpoint returns.

    :param body: a value to encode as JSON, or ``NO_BODY``.
    """

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class ApiRequest:
    """One request that has passed rate limits and authentication.

    :param actor: the user that the credentials belong to.
    :param path: the parameters of the route, by name.
    :param source: method, path and body, as webhook events report them.
    :param site: the sandbox's address, without a slash at the end.
    :param lag_seconds: by how much reports lag behind: they show time entries as they were that long ago.
    :param drop_rows: how many rows are to be missing at the end of a page.
    :param hidden_entries: time entries that reports leave out.
    :param caches: lists that reports keep from one page to the next.
    :param quota_rows: returns the state of each quota of the user.
    """

    world: World
    actor: User
    path: dict[str, str]
    query: Mapping[str, list[str]]
    raw_body: bytes
    source: dict[str, Any] = field(default_factory=dict)
    site: str = ""
    lag_seconds: float = 0.0
    drop_rows: int = 0
    hidden_entries: tuple[HiddenEntries, ...] = ()
    caches: dict[Any, Any] = field(default_factory=dict)
    quota_rows: Callable[[], list[dict[str, Any]]] = list

    @property
    def settings(self) -> Settings:
        """Return the settings of the world."""
        return self.world.settings

    def path_id(self, name: str) -> int:
        """Return an integer from the path; the route's pattern has checked it."""
        return int(self.path[name])

    def text(self, name: str) -> str | None:
        """Return the last query parameter of that name; None if it is missing or empty."""
        values = self.query.get(name) or self.query.get(f"{name}[]")
        return (values[-1] or None) if values else None

    def integer(self, name: str, message: str | None = None) -> int | None:
        """Return a query parameter as an integer.

        :param message: the text of the error, if it is not the usual one.
        :raises ErrorResponse: 400 for another value.
        """
        text = self.text(name)
        if text is None:
            return None
        if not re.fullmatch(r"[+-]?\d{1,18}", text):
            raise ErrorResponse(400, message or f"Invalid {name}")
        return int(text)

    def boolean(self, name: str) -> bool | None:
        """Return a query parameter as a boolean; None if it is missing.

        :raises ErrorResponse: 400 for another value.
        """
        text = self.text(name)
        if text is None:
            return None
        if text.lower() in ("true", "1", "t"):
            return True
        if text.lower() in ("false", "0", "f"):
            return False
        raise ErrorResponse(400, f"Invalid {name}")

    def integers(self, name: str) -> list[int] | None:
        """Return a query parameter as integers: separated by commas, or given several times.

        :raises ErrorResponse: 400 if one of them is not an integer.
        """
        values = self.query.get(name) or self.query.get(f"{name}[]")
        if not values:
            return None
        texts = [text for value in values for text in value.split(",") if text]
        if not all(re.fullmatch(r"-?\d{1,18}", text) for text in texts):
            raise ErrorResponse(400, f"Invalid {name}")
        return [int(text) for text in texts]

    def since(self) -> datetime | None:
        """Return the unix time ``since`` in UTC; None if it is missing.

        :raises ErrorResponse: 400 for another value.
        """
        message = "Since is expected to be an unix timestamp, integer value"
        seconds = self.integer("since", message)
        try:
            return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)
        except (ValueError, OverflowError, OSError):
            raise ErrorResponse(400, message) from None

    def changed(self, records: Iterable[EntityT]) -> list[EntityT]:
        """Return the records changed ``since``, deleted ones included; without that parameter, all live ones."""
        since = self.since()
        if since is None:
            return live(records)
        return [record for record in records if record.at.replace(microsecond=0) >= since]

    def json(self) -> Any:
        """Return the body.

        :raises ErrorResponse: 400 if it is not JSON.
        """
        try:
            return json.loads(self.raw_body)
        except ValueError as error:
            raise ErrorResponse(400, "Invalid JSON input") from error

    def json_object(self) -> dict[str, Any]:
        """Return the body, which must be an object.

        :raises ErrorResponse: 400 if it is not JSON or not an object.
        """
        body = self.json()
        if not isinstance(body, dict):
            raise ErrorResponse(400, "Invalid JSON input")
        return body

    def entries(self) -> Mapping[int, TimeEntry]:
        """Return the time entries as reports see them: as they were ``lag_seconds`` ago."""
        return self.world.entries_as_of(self.lag_seconds) if self.lag_seconds else self.world.time_entries


Handler = Callable[[ApiRequest], ApiResponse]


@dataclass(frozen=True)
class Route:
    """One endpoint.

    :param template: the path; ``{name}`` stands for an integer, ``{name:any}`` for anything without a slash.
    :param public: whether it needs no authentication.
    :param blocks: whether it waits for another server, so that it must run in a thread.
    """

    method: str
    template: str
    handler: Handler
    lane: QuotaLane
    public: bool = False
    blocks: bool = False

    @property
    def shown(self) -> str:
        """Return the template as documentation writes it."""
        return self.template.replace(":any}", "}")


class Router:
    """Finds the endpoint of a request."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = [(_pattern(route.template), route) for route in routes]

    def find(self, method: str, path: str) -> tuple[Route | None, dict[str, str], bool]:
        """Return the endpoint, the parameters of the path, and whether the path exists for any method."""
        path = path.rstrip("/") or "/"
        known = False
        for pattern, route in self._routes:
            found = pattern.fullmatch(path)
            if found:
                known = True
                if route.method == method:
                    return route, found.groupdict(), True
        return None, {}, known


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)(:any)?\}", template)
    pattern = re.escape(parts[0])
    for name, anything, rest in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        pattern += f"(?P<{name}>{'[^/]+' if anything else r'-?[0-9]{1,18}'})" + re.escape(rest)
    return re.compile(pattern)
