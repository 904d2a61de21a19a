"""A tiny HTTP server that answers as a test says, byte by byte where it wants, and remembers what it was asked."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.client import parse_headers
from typing import cast


@dataclass
class Asked:
    """One request, as it came."""

    method: str
    target: str
    headers: Message
    body: bytes


@dataclass
class TinyServer:
    """What it was asked, and what it answers: whole bytes of an answer, after which it hangs up."""

    port: int = 0
    reply: Callable[[Asked], bytes] = field(default=lambda _: http_answer(200, b"null"))
    asked: list[Asked] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def http_answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Return an answer whose headers tell the length of its body, unless they say otherwise."""
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
        asked = Asked(line.split()[0], line.split()[1], headers, body)
        tiny.asked.append(asked)
        self.wfile.write(tiny.reply(asked))


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    tiny: TinyServer

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that hang up are part of the tests."""


@contextmanager
def tiny_server() -> Iterator[TinyServer]:
    """Serve at a free port of this machine."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.tiny = TinyServer(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server.tiny
        finally:
            server.shutdown()
            thread.join(timeout=10)
