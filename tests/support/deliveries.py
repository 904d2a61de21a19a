"""Captured webhook bodies, their signatures, and ways to deliver them."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import itertools
import json
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

SECRET = "PGuRrhCFajIyEvFlreKL"
PREVIOUS_SECRET = "an-older-one-0000001"
HEADER = "X-Webhook-Signature-256"

#: The example that Toggl publishes, with its signature by ``SECRET``.
PUBLISHED_PING = (
    b'{"event_id":0,"created_at":"2022-06-25T03:58:10.207820267Z","creator_id":6,"metadata":{"request_type":"POST",'
    b'"event_user_id":6},"payload":"ping","subscription_id":6,"timestamp":"2022-06-25T03:58:10.207820267Z",'
    b'"url_callback":"https://callback-url.com"}'
)
PUBLISHED_SIGNATURE = "sha256=bf829606cda0ca6923defb5ca70a43135adc7e8887486a201a19cb50ca6006b1"

CODE = "89627dd73f2044f2f73815d665bbce33"
VALIDATION_PING = (
    b'{"event_id":0,"created_at":"2023-07-17T10:57:40.959597671Z","creator_id":9000001,"metadata":{"request_type":'
    b'"POST","event_user_id":9000001},"payload":"ping","subscription_id":10710,"timestamp":'
    b'"2023-07-17T10:57:40.959597671Z","url_callback":"https://example.org/hook","validation_code":'
    b'"89627dd73f2044f2f73815d665bbce33","validation_code_url":"https://track.toggl.com/webhooks/api/v1/validate/'
    b'7000001/10710/89627dd73f2044f2f73815d665bbce33"}'
)
STARTED_ENTRY = (
    b'{"event_id":8023169274704072,"created_at":"2023-07-17T11:43:32.827Z","creator_id":9000001,"metadata":{"action":'
    b'"created","event_user_id":"9000001","model":"time_entry","model_owner_id":"9000001","path":"/api/v9/workspaces/'
    b'7000001/time_entries","request_body":"{\\"at\\":\\"2023-07-17T11:43:32.445Z\\",\\"billable\\":false,'
    b'\\"description\\":\\"test\\",\\"duration\\":-1689594212,\\"start\\":\\"2023-07-17T11:43:32.445Z\\",\\"tags\\":[],'
    b'\\"workspace_id\\":7000001,\\"created_with\\":\\"TrackExtension/3.0.11\\"}","request_type":"POST",'
    b'"time_entry_id":"3050537739","workspace_id":"7000001"},"payload":{"at":"2023-07-17T11:43:32+00:00","billable":'
    b'false,"description":"test","duration":-1689594212,"duronly":true,"id":3050537739,"project_id":null,'
    b'"server_deleted_at":null,"start":"2023-07-17T11:43:32Z","stop":null,"tag_ids":null,"tags":[],"task_id":null,'
    b'"uid":9000001,"user_id":9000001,"wid":7000001,"workspace_id":7000001},"subscription_id":10713,"timestamp":'
    b'"2023-07-17T11:43:33.170443406Z","url_callback":"https://example.org/hook"}'
)
CAPTURED = (PUBLISHED_PING, VALIDATION_PING, STARTED_ENTRY)


def event_body(event_id: int, /, *, now: datetime | None = None, **changes: Any) -> bytes:
    """Return the captured event with another id, sent now.

    :param changes: fields of the envelope; those that are None are left out.
    """
    sent = (now or datetime.now(timezone.utc)).isoformat().replace("+00:00", "Z")
    document = json.loads(STARTED_ENTRY) | {"event_id": event_id, "created_at": sent, "timestamp": sent} | changes
    return json.dumps({k: v for k, v in document.items() if v is not None}, separators=(",", ":")).encode()


def sign(body: bytes, secret: str = SECRET) -> str:
    """Return the value of the signature header."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class AsgiResponse:
    """The answer of an ASGI application; status 0 if there was none."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body, decoded."""
        return json.loads(self.body)


async def send_request(
    app: Callable[..., Awaitable[None]],
    body: bytes | Iterable[bytes] = b"",
    *,
    signature: str | bytes | None = None,
    path: str = "/toggl/webhooks/toggl_default",
    root_path: str = "",
    method: str = "POST",
    headers: Iterable[tuple[bytes, bytes]] = (),
    cut: bool = False,
) -> AsgiResponse:
    """Send a request to an ASGI application without a network.

    :param body: in one or several pieces.
    :param cut: whether the sender disconnects after the last piece, before the end of the body.
    """
    pieces = [body] if isinstance(body, bytes) else list(body)
    value = signature.encode() if isinstance(signature, str) else signature
    signed = [] if value is None else [(HEADER.lower().encode(), value)]
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": piece, "more_body": cut or number < len(pieces)}
        for number, piece in enumerate(pieces, start=1)
    ]
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "root_path": root_path, "headers": [*signed, *headers]}
    await app(scope, receive, send)
    if not sent:
        return AsgiResponse(0, {}, b"")
    named = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return AsgiResponse(sent[0]["status"], named, b"".join(message.get("body", b"") for message in sent[1:]))


class DeliveryLoad:
    """Delivers events within its ``with`` block, as Toggl does: in order, and again after a failure.

    :param address: the callback address.
    :param senders: how many threads deliver.
    :param secret: returns the secret; called for each delivery.
    """

    def __init__(self, address: str, *, senders: int = 8, secret: Callable[[], str] = lambda: SECRET) -> None:
        self._where = urlsplit(address)
        self._secret = secret
        self._ids = itertools.count(1)
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(senders)]
        self._lock = threading.Lock()
        self.taken: list[int] = []
        self.statuses: Counter[int] = Counter()
        self.broken = 0

    def __enter__(self) -> DeliveryLoad:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop sending."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(30)

    def _send(self) -> None:
        connection = None
        while not self._stopping.is_set():
            event_id = next(self._ids)
            done = False
            while not done and not self._stopping.is_set():
                try:
                    if connection is None:
                        connection = http.client.HTTPConnection(str(self._where.hostname), self._where.port, timeout=30)
                    done = self._deliver(connection, event_id)
                except (OSError, http.client.HTTPException):
                    self.broken += 1
                    if connection is not None:
                        connection.close()
                    connection = None
                    self._stopping.wait(0.02)
        if connection is not None:
            connection.close()

    def _deliver(self, connection: http.client.HTTPConnection, event_id: int) -> bool:
        body = event_body(event_id)
        connection.request("POST", self._where.path, body=body, headers={HEADER: sign(body, self._secret())})
        answer = connection.getresponse()
        answer.read()
        with self._lock:
            self.statuses[answer.status] += 1
            if answer.status == 200:
                self.taken.append(event_id)
        return answer.status == 200
