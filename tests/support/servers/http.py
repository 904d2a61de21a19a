"""A small HTTP server that answers by a function and records its requests, and callbacks of subscriptions."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.client import parse_headers
from typing import Any, cast


@dataclass
class HttpRequest:
    """One received request."""

    method: str
    target: str
    headers: Message
    body: bytes


@dataclass
class TinyServer:
    """Records requests, and answers them with the bytes that ``reply`` returns; then it closes the connection."""

    port: int = 0
    reply: Callable[[HttpRequest], bytes] = field(default=lambda _: http_response(200, b"null"))
    asked: list[HttpRequest] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def http_response(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Return an answer; its headers have the length of the body unless ``headers`` replace it."""
    named = {"content-length": str(len(body)), "connection": "close"}
    named |= {name.replace("_", "-"): text for name, text in headers.items()}
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {text}" for name, text in named.items()), "", ""]
    return "\r\n".join(lines).encode() + body


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        line = self.rfile.readline().decode()
        if not line.strip():
            return
        headers = parse_headers(self.rfile)
        body = self.rfile.read(int(headers.get("content-length", 0)))
        tiny = cast("_Server", self.server).tiny
        asked = HttpRequest(line.split()[0], line.split()[1], headers, body)
        tiny.asked.append(asked)
        self.wfile.write(tiny.reply(asked))


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    tiny: TinyServer

    def handle_error(self, request: object, client_address: object) -> None:
        """Log nothing: tests make clients disconnect."""


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    """Let a server answer in a thread until the block ends."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join(timeout=10)


@contextmanager
def tiny_server() -> Iterator[TinyServer]:
    """Serve on a free port."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.tiny = TinyServer(server.server_address[1])
        with serving(server):
            yield server.tiny


@dataclass
class Callback:
    """A callback.

    :param echoes: whether it answers a PING with its validation code.
    :param status: the status of its answers.
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
        """Return the last validation code of a subscription."""
        return self.codes.get(subscription_id)

    def answer(self, asked: HttpRequest) -> bytes:
        body = json.loads(asked.body)
        self.bodies.append(body)
        code = body.get("validation_code")
        if code and self.status == 200:
            self.codes[body["subscription_id"]] = code
        echo = {"validation_code": code} if code and self.echoes else {}
        return http_response(self.status, json.dumps(echo).encode(), content_type="application/json")


@contextmanager
def open_callback(**how: Any) -> Iterator[Callback]:
    """Serve a callback on a free port."""
    with tiny_server() as server:
        callback = Callback(server, **how)
        server.reply = callback.answer
        yield callback
