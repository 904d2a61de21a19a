"""The seams of the client, for tests: a clock that only moves when told, and a transport that answers from a
function."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from airflow_provider_toggl.core.client.responses import TogglResponse
from airflow_provider_toggl.core.client.transport import OutgoingRequest

START = 1_780_000_000.0


class FakeClock:
    """A clock that sleeping moves."""

    def __init__(self, now: float = START) -> None:
        self.time = now
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


def answer(
    status: int = 200,
    body: Any = None,
    *,
    headers: Mapping[str, str] | None = None,
    call: OutgoingRequest | None = None,
    at: float = START,
) -> TogglResponse:
    """Return an answer; a body that is not bytes is sent as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {"date": formatdate(at, usegmt=True), "content-type": "application/json; charset=utf-8"}
    call = call or OutgoingRequest("GET", "/api/v9/me")
    return TogglResponse(call.method, call.path, status, {**named, **(headers or {})}, raw, at)


def quota_headers(remaining: int, resets_in: int) -> dict[str, str]:
    """Return the quota headers of Toggl."""
    return {"x-toggl-quota-remaining": str(remaining), "x-toggl-quota-resets-in": str(resets_in)}


@dataclass
class FakeTransport:
    """Answers every call with what ``reply`` returns or raises."""

    reply: Callable[[OutgoingRequest], TogglResponse]
    calls: list[OutgoingRequest] = field(default_factory=list)

    def send(self, call: OutgoingRequest) -> TogglResponse:
        self.calls.append(call)
        return self.reply(call)


def replies(*script: TogglResponse | Exception) -> Callable[[OutgoingRequest], TogglResponse]:
    """Return a reply that goes through a script, and repeats its last line."""
    lines = list(script)

    def reply(_: OutgoingRequest) -> TogglResponse:
        line = lines.pop(0) if len(lines) > 1 else lines[0]
        if isinstance(line, Exception):
            raise line
        return line

    return reply
