"""One request as the endpoints see it, what they answer, and the table that leads from one to the other."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from airflow_provider_toggl.sandbox.faults import HiddenEntries
from airflow_provider_toggl.sandbox.settings import Settings
from airflow_provider_toggl.sandbox.workspace.records import TimeEntry, User
from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse, World

QuotaLane = Literal["user", "organization", "none"]


class NoBody:
    """No body at all, which is not the same as JSON null."""


NO_BODY = NoBody()


@dataclass
class ApiResponse:
    """What goes back: a value to be written as JSON, or ``NOTHING``."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class ApiRequest:
    """One request that has passed the gate.

    ``request`` says what was asked, for those who listen to changes, and ``site`` where (without a slash at its end).
    Under ``lag_seconds`` reports show time entries as they were so long ago, without those that ``hidings`` hide.
    ``drop_rows`` is how many rows a page is to be short of.
    """

    world: World
    settings: Settings
    actor: User
    path: dict[str, str]
    query: Mapping[str, list[str]]
    raw_body: bytes
    request: dict[str, Any] = field(default_factory=dict)
    site: str = ""
    lag_seconds: float = 0.0
    drop_rows: int = 0
    hidings: tuple[HiddenEntries, ...] = ()
    caches: dict[Any, Any] = field(default_factory=dict)
    quota_rows: Callable[[], list[dict[str, Any]]] = list

    def path_id(self, name: str) -> int:
        """Return a whole number of the path (the route's pattern made sure that it is one)."""
        return int(self.path[name])

    def text(self, name: str) -> str | None:
        """Return a query parameter, the last one of that name; None when it is absent or empty."""
        values = self.query.get(name) or self.query.get(f"{name}[]")
        return (values[-1] or None) if values else None

    def whole(self, name: str, refusal: str | None = None) -> int | None:
        """Return a query parameter that is a whole number.

        :raises Refused: 400 when it is not one.
        """
        text = self.text(name)
        if text is None:
            return None
        if not re.fullmatch(r"[+-]?\d{1,18}", text):
            raise ErrorResponse(400, refusal or f"Invalid {name}")
        return int(text)

    def truth(self, name: str) -> bool | None:
        """Return a query parameter that is true or false; None when it is absent.

        :raises Refused: 400 when it is neither.
        """
        text = self.text(name)
        if text is None:
            return None
        if text.lower() in ("true", "1", "t"):
            return True
        if text.lower() in ("false", "0", "f"):
            return False
        raise ErrorResponse(400, f"Invalid {name}")

    def wholes(self, name: str) -> list[int] | None:
        """Return a query parameter that is whole numbers, joined by commas or given several times.

        :raises Refused: 400 when one is not a whole number.
        """
        values = self.query.get(name) or self.query.get(f"{name}[]")
        if not values:
            return None
        texts = [text for value in values for text in value.split(",") if text]
        if not all(re.fullmatch(r"-?\d{1,18}", text) for text in texts):
            raise ErrorResponse(400, f"Invalid {name}")
        return [int(text) for text in texts]

    def json(self) -> Any:
        """Return the body.

        :raises Refused: 400 when it is not JSON.
        """
        try:
            return json.loads(self.raw_body)
        except ValueError as problem:
            raise ErrorResponse(400, "Invalid JSON input") from problem

    def json_object(self) -> dict[str, Any]:
        """Return the body, an object.

        :raises Refused: 400 when it is not JSON, or not an object.
        """
        body = self.json()
        if not isinstance(body, dict):
            raise ErrorResponse(400, "Invalid JSON input")
        return body

    def entries(self) -> Mapping[int, TimeEntry]:
        """Return the time entries that reports may know of."""
        return self.world.entries_as_of(self.lag_seconds) if self.lag_seconds else self.world.time_entries


Handler = Callable[[ApiRequest], ApiResponse]


@dataclass(frozen=True)
class Route:
    """One endpoint. ``template`` has ``{name}`` for a number and ``{name:any}`` for anything but a slash.

    One that ``blocks`` waits for somebody else, so it must not run in the server's loop.
    """

    method: str
    template: str
    handler: Handler
    lane: QuotaLane
    open_to_all: bool = False
    blocks: bool = False

    @property
    def shown(self) -> str:
        """Return the template as people write it."""
        return self.template.replace(":any}", "}")


class Router:
    """Finds the endpoint of a request."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = [(_pattern(route.template), route) for route in routes]

    def find(self, method: str, path: str) -> tuple[Route | None, dict[str, str], bool]:
        """Return the endpoint, what its path names, and whether the path exists under any method."""
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
    for name, kind, rest in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        pattern += f"(?P<{name}>{'[^/]+' if kind else r'-?[0-9]{1,18}'})" + re.escape(rest)
    return re.compile(pattern)
