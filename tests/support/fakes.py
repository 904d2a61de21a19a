"""Replacements of the client's clock and transport, and a report that changes between two pages."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from email.utils import formatdate
from typing import Any

from airflow_provider_toggl.core.client.limits.leaky_bucket import Pace
from airflow_provider_toggl.core.client.limits.state import RateLimitState
from airflow_provider_toggl.core.client.responses import TogglResponse
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.client.transport import OutgoingRequest

START = 1_780_000_000.0


class FakeClock:
    """A clock that only sleeping advances."""

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
    """Return an answer; a body that is not bytes becomes JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {"date": formatdate(at, usegmt=True), "content-type": "application/json; charset=utf-8"}
    call = call or OutgoingRequest("GET", "/api/v9/me")
    return TogglResponse(call.method, call.path, status, {**named, **(headers or {})}, raw, at)


def quota_headers(remaining: int, resets_in: int) -> dict[str, str]:
    """Return the quota headers of Toggl."""
    return {"x-toggl-quota-remaining": str(remaining), "x-toggl-quota-resets-in": str(resets_in)}


@dataclass
class FakeTransport:
    """Answers every call by a function."""

    reply: Callable[[OutgoingRequest], TogglResponse]
    calls: list[OutgoingRequest] = field(default_factory=list)

    def send(self, call: OutgoingRequest) -> TogglResponse:
        self.calls.append(call)
        return self.reply(call)


def replies(*script: TogglResponse | Exception) -> Callable[[OutgoingRequest], TogglResponse]:
    """Return a function that gives the answers of a script in order, and repeats the last one."""
    lines = list(script)

    def reply(_: OutgoingRequest) -> TogglResponse:
        line = lines.pop(0) if len(lines) > 1 else lines[0]
        if isinstance(line, Exception):
            raise line
        return line

    return reply


def fake_session(
    reply: Callable[[OutgoingRequest], TogglResponse],
    *,
    rate: float = 200.0,
    reserve: int = 0,
    clock: FakeClock | None = None,
    state: RateLimitState | None = None,
) -> tuple[TogglSession, FakeTransport, FakeClock]:
    """Return a session whose requests are answered by a function, with its transport and its clock."""
    transport, clock = FakeTransport(reply), clock or FakeClock()
    state, jitter = state or RateLimitState(None, "t"), random.Random(5)
    session = TogglSession(transport, state, pace=Pace(rate), reserve=reserve, clock=clock, jitter=jitter)
    return session, transport, clock


class FakeReport:
    """Time entries by id; answers the query of a detailed report as Toggl does.

    :param now: Toggl's clock.
    """

    def __init__(self, now: float, page_size: int = 10) -> None:
        self.now = now
        self.page_size = page_size
        self.entries: dict[int, dict[str, Any]] = {}
        self.queries: list[dict[str, Any]] = []
        self.before_answer: list[Any] = []
        self.refusals: list[TogglResponse] = []
        self.quota: int | None = None
        self.keeps_order = True

    def add(self, number: int, *, day: date, at: float, seconds: int = 60) -> None:
        """Create or change a time entry."""
        start = datetime(day.year, day.month, day.day, 9, tzinfo=timezone.utc)
        self.entries[number] = {
            "id": number,
            "seconds": seconds,
            "start": start.isoformat(),
            "stop": (start + timedelta(seconds=seconds)).isoformat(),
            "at": datetime.fromtimestamp(at, tz=timezone.utc).isoformat(timespec="seconds"),
        }

    def __call__(self, call: OutgoingRequest) -> TogglResponse:
        query = call.payload
        self.queries.append(query)
        if self.before_answer:
            self.before_answer.pop(0)()
        if self.refusals:
            return self.refusals.pop(0)
        inside = [e for e in self.entries.values() if query["start_date"] <= e["start"][:10] <= query["end_date"]]
        key = "at" if query["order_by"] == "last_update" else "start"
        inside.sort(key=lambda e: e["id"])
        if self.keeps_order:
            inside.sort(key=lambda e: e[key], reverse=query["order_dir"] == "DESC")
        first = query["first_row_number"]
        size = min(self.page_size, query.get("page_size", 50))
        page = inside[first - 1 : first - 1 + size]
        rows = [
            {"user_id": 1, "description": "", "tag_ids": [], "time_entries": [entry], "row_number": first + index}
            for index, entry in enumerate(page)
        ]
        headers = {"x-page-size": str(size)}
        if len(inside) > first - 1 + size:
            following = inside[first - 1 + size]
            headers |= {"x-next-row-number": str(first + size), "x-next-id": str(following["id"])}
        if self.quota is not None:
            self.quota -= 1
            headers |= quota_headers(self.quota, 100)
        return answer(200, rows, headers=headers, call=call, at=self.now)
