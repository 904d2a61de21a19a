"""Callbacks of webhook subscriptions that do what a test says, as somebody else's receiver might."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from support.http_servers import Asked, TinyServer, http_answer, tiny_server


@dataclass
class Callback:
    """A receiver of one test.

    :param echoes: whether it answers a PING with its validation code.
    :param status: what it answers.
    """

    server: TinyServer
    echoes: bool = True
    status: int = 200
    codes: dict[int, str] = field(default_factory=dict)
    bodies: list[dict[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.server.url}/toggl/webhooks/toggl_default"

    @property
    def pings(self) -> int:
        return sum(body["payload"] == "ping" for body in self.bodies)

    def find_code(self, subscription_id: int) -> str | None:
        """Return the last code that came for a subscription."""
        return self.codes.get(subscription_id)

    def answer(self, asked: Asked) -> bytes:
        body = json.loads(asked.body)
        self.bodies.append(body)
        code = body.get("validation_code")
        if code and self.status == 200:
            self.codes[body["subscription_id"]] = code
        echo = {"validation_code": code} if code and self.echoes else {}
        return http_answer(self.status, json.dumps(echo).encode(), content_type="application/json")


@contextmanager
def open_callback(**how: Any) -> Iterator[Callback]:
    """Serve a callback at a free port of this machine."""
    with tiny_server() as server:
        callback = Callback(server, **how)
        server.reply = callback.answer
        yield callback
