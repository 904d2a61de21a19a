"""The sandbox's HTTP client for webhook deliveries to the callback URLs of subscriptions."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

#: Most bytes read of an answer; a valid one has about a hundred.
MOST_ANSWER_BYTES = 65_536


@dataclass(frozen=True)
class PostResult:
    """The result of a POST: status and body, and in ``error`` why the delivery failed."""

    status: int | None
    body: bytes = field(default=b"", repr=False)
    error: str | None = None

    @property
    def delivered(self) -> bool:
        """Return whether the delivery counts: any 2xx (Toggl's webhooks overview); a redirect does not."""
        return self.status is not None and 200 <= self.status < 300

    def echoes(self, code: str) -> bool:
        """Return whether the answer is a 2xx with the validation code."""
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError):
            return False
        return self.delivered and isinstance(document, dict) and document.get("validation_code") == code


class CallbackClient:
    """Posts one request at a time, over one connection as long as it stays open."""

    def __init__(self) -> None:
        self._connection: http.client.HTTPConnection | None = None
        self._origin: tuple[str, str] | None = None
        self._aborted = False

    def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout: float) -> PostResult:
        """Post a body and return the result; network errors and invalid URLs are part of the result.

        :param timeout: seconds for connecting, and for each read and write; the whole has no limit.
        """
        try:
            parts = urlsplit(url)
            origin = (parts.scheme, parts.netloc)
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            kept = self._connection is not None and origin == self._origin
            try:
                return self._post(origin, path, body, headers, timeout, kept=kept)
            except (http.client.RemoteDisconnected, ConnectionError):
                if not kept or self._aborted:
                    raise
                # The server has closed the kept connection without an answer, so a new one is tried. The delivery
                # may arrive twice.
                return self._post(origin, path, body, headers, timeout, kept=False)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            return PostResult(None, error=f"request failed with error: {type(error).__name__}: {error}"[:300])

    def abort(self) -> None:
        """Make the current and all later posts fail; may be called from any thread."""
        self._aborted = True
        connection = self._connection
        if connection is not None and connection.sock is not None:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _post(
        self, origin: tuple[str, str], path: str, body: bytes, headers: Mapping[str, str], timeout: float, *, kept: bool
    ) -> PostResult:
        if self._aborted:
            raise ConnectionAbortedError("The sandbox is stopping.")
        if kept and self._connection is not None:
            connection = self._connection
            connection.sock.settimeout(timeout)
        else:
            self.close()
            connection = self._connection = _connection_to(origin, timeout)
            self._origin = origin
            connection.connect()
            # Headers and body are two writes: with Nagle's algorithm each delivery would wait 40 ms.
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.request("POST", path, body, dict(headers))
        answer = connection.getresponse()
        content = answer.read(MOST_ANSWER_BYTES)
        if answer.will_close or not answer.isclosed():
            self.close()
        error = None if 200 <= answer.status < 300 else f"responded with status {answer.status} instead of 2xx"
        return PostResult(answer.status, content, error)


def _connection_to(origin: tuple[str, str], timeout: float) -> http.client.HTTPConnection:
    scheme, netloc = origin
    if scheme not in ("http", "https"):
        raise ValueError(f'unsupported protocol scheme "{scheme}"')
    if not netloc:
        raise ValueError("no Host in request URL")
    if scheme == "https":
        return http.client.HTTPSConnection(netloc, timeout=timeout)
    return http.client.HTTPConnection(netloc, timeout=timeout)
