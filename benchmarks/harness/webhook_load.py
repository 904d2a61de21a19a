"""Sends signed deliveries over many kept-alive connections, faster than a receiver accepts them.

Reads ``{"url", "secret", "header", "connections", "first_id", "requests" or "seconds"}`` as JSON from its input and
prints the result as JSON. It is a separate program, so that it shares no interpreter with the receiver.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

BODY = (
    '{"event_id":%d,"created_at":"2023-07-17T11:43:32.827Z","creator_id":9000001,"metadata":{"action":"created",'
    '"event_user_id":"9000001","model":"time_entry","model_owner_id":"9000001","path":"/api/v9/workspaces/7000001/'
    'time_entries","request_type":"POST","time_entry_id":"3050537739","workspace_id":"7000001"},"payload":{"at":'
    '"2023-07-17T11:43:32+00:00","billable":false,"description":"test","duration":-1689594212,"duronly":true,"id":'
    '3050537739,"project_id":null,"server_deleted_at":null,"start":"2023-07-17T11:43:32Z","stop":null,"tag_ids":null,'
    '"tags":[],"task_id":null,"uid":9000001,"user_id":9000001,"wid":7000001,"workspace_id":7000001},"subscription_id"'
    ':10713,"timestamp":"2023-07-17T11:43:33.170443406Z","url_callback":"https://example.org/hook"}'
)
"""A started entry, as Toggl sends one; its id is to be filled in."""


def build_request(order: dict[str, Any], event_id: int) -> bytes:
    """Return one request as it goes over the wire."""
    where = urlsplit(order["url"])
    body = (BODY % event_id).encode()
    signature = hmac.new(order["secret"].encode(), body, hashlib.sha256).hexdigest()
    head = (
        f"POST {where.path} HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Type: application/json\r\n"
        f"{order['header']}: sha256={signature}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Sender(asyncio.Protocol):
    """One connection: sends the next request when the answer to the last one is there."""

    def __init__(self, requests: Iterator[tuple[int, bytes]], seen: Seen, ended: asyncio.Future[None]) -> None:
        self._requests = requests
        self._seen = seen
        self._ended = ended
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first one."""
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """Read the answer and, when it is complete, send the next request."""
        self._buffer += data
        head, split, rest = self._buffer.partition(b"\r\n\r\n")
        if not split:
            return
        lowered = head.lower()
        length = int(lowered.partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)
        if len(rest) < length:
            return
        self._buffer = b""
        self._seen.take(self._event_id, int(head[9:12]), time.perf_counter() - self._sent)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop: the server closed the connection, or everything is sent."""
        if not self._ended.done():
            self._ended.set_result(None)

    def _send(self) -> None:
        following = next(self._requests, None)
        if following is None:
            self._transport.close()
            return
        self._event_id, request = following
        self._sent = time.perf_counter()
        self._transport.write(request)  # type: ignore[attr-defined]


class Seen:
    """The answers: statuses, seconds, and the IDs that were answered 2xx."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.seconds: list[float] = []
        self.taken: list[int] = []

    def take(self, event_id: int, status: int, seconds: float) -> None:
        """Add one answer."""
        self.statuses[status] += 1
        self.seconds.append(seconds)
        if 200 <= status < 300:
            self.taken.append(event_id)


def requests_of(order: dict[str, Any]) -> Iterator[tuple[int, bytes]]:
    """Yield the ordered number of requests, or requests until the time is over."""
    first = int(order["first_id"])
    if "requests" in order:
        yield from [(i, build_request(order, i)) for i in range(first, first + order["requests"])]
        return
    until = time.monotonic() + order["seconds"]
    event_id = first
    while time.monotonic() < until:
        yield event_id, build_request(order, event_id)
        event_id += 1


async def run(order: dict[str, Any]) -> dict[str, Any]:
    """Send the requests of an order and return the answers."""
    loop, seen, requests = asyncio.get_running_loop(), Seen(), requests_of(order)
    where = urlsplit(order["url"])
    begun = time.perf_counter()
    ends = []
    for _ in range(order["connections"]):
        ended = loop.create_future()
        await loop.create_connection(lambda ended=ended: Sender(requests, seen, ended), where.hostname, where.port)
        ends.append(ended)
    await asyncio.gather(*ends)
    seconds = time.perf_counter() - begun
    ranked = sorted(seen.seconds)
    return {
        "requests": len(ranked),
        "seconds": round(seconds, 3),
        "per_second": round(len(ranked) / seconds, 1),
        "p50_ms": round(ranked[len(ranked) // 2] * 1000, 2),
        "p99_ms": round(ranked[len(ranked) * 99 // 100] * 1000, 2),
        "statuses": {str(status): number for status, number in sorted(seen.statuses.items())},
        "taken": seen.taken,
    }


def print_result(result: dict[str, Any]) -> None:
    """Print a result of any length; with PYTHONUNBUFFERED, ``print`` writes only what a pipe takes at once."""
    with open(sys.stdout.fileno(), "w", closefd=False) as buffered:
        json.dump(result, buffered)


def main() -> None:
    """Serve one order."""
    with suppress(ImportError):
        import uvloop  # noqa: PLC0415 - it sends more where it is there

        uvloop.install()
    print_result(asyncio.run(run(json.load(sys.stdin))))


if __name__ == "__main__":
    main()
