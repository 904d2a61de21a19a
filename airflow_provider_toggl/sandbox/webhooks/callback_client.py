"""One POST to a callback, and what came of it."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

#: Bytes of an answer that are read; a right one has a hundred.
MOST_READ = 65_536


@dataclass(frozen=True)
class PostResult:
    """What came of a POST: a status with its body, or none with the reason."""

    status: int | None
    body: bytes = field(default=b"", repr=False)
    error: str | None = None

    @property
    def delivered(self) -> bool:
        """Whether it counts as delivered: any 2xx, by Toggl's overview; a redirect does not."""
        return self.status is not None and 200 <= self.status < 300

    def says_again(self, code: str) -> bool:
        """Whether the answer is a 2xx that says the validation code again."""
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError):
            return False
        return self.delivered and isinstance(document, dict) and document.get("validation_code") == code


class CallbackClient:
    """Posts one after the other, over one connection while it lasts."""

    def __init__(self) -> None:
        self._connection: http.client.HTTPConnection | None = None
        self._place: tuple[str, str] | None = None
        self._aborted = False

    def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout: float) -> PostResult:
        """Post and return what came of it; raises nothing for what can go wrong on the way.

        :param timeout: seconds without any progress.
        """
        try:
            parts = urlsplit(url)
            place = (parts.scheme, parts.netloc)
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            kept = self._connection is not None and place == self._place
            try:
                return self._post(place, path, body, headers, timeout, kept=kept)
            except (http.client.RemoteDisconnected, ConnectionError):
                if not kept or self._aborted:
                    raise
                # The other side has closed what was kept open; nothing was answered, so it is tried anew at once.
                return self._post(place, path, body, headers, timeout, kept=False)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            return PostResult(None, error=f"request failed with error: {type(error).__name__}: {error}"[:300])

    def abort(self) -> None:
        """Let what is under way fail, and all that follows; for other threads than the one that posts."""
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
        self, place: tuple[str, str], path: str, body: bytes, headers: Mapping[str, str], timeout: float, *, kept: bool
    ) -> PostResult:
        if self._aborted:
            raise ConnectionAbortedError("The sandbox ends.")
        if kept and self._connection is not None:
            connection = self._connection
            connection.sock.settimeout(timeout)
        else:
            self.close()
            connection = self._connection = _connection_to(place, timeout)
            self._place = place
            connection.connect()
            # Headers and body go in two writes: without this each delivery waits 40 ms for an acknowledgement.
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.request("POST", path, body, dict(headers))
        answer = connection.getresponse()
        answered = answer.read(MOST_READ)
        if answer.will_close or not answer.isclosed():
            self.close()
        error = None if 200 <= answer.status < 300 else f"responded with status {answer.status} instead of 2xx"
        return PostResult(answer.status, answered, error)


def _connection_to(place: tuple[str, str], timeout: float) -> http.client.HTTPConnection:
    scheme, netloc = place
    if scheme not in ("http", "https"):
        raise ValueError(f'unsupported protocol scheme "{scheme}"')
    if not netloc:
        raise ValueError("no Host in request URL")
    if scheme == "https":
        return http.client.HTTPSConnection(netloc, timeout=timeout)
    return http.client.HTTPConnection(netloc, timeout=timeout)
