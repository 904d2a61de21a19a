"""Several senders who deliver events as Toggl does: one after the other, again when there was no good answer."""

from __future__ import annotations

import http.client
import itertools
import threading
from collections import Counter
from collections.abc import Callable
from urllib.parse import urlsplit

from support.deliveries import HEADER, SECRET, event_body, sign


class Load:
    """Sends within its ``with`` block.

    :param address: where to.
    :param senders: how many send at once.
    :param secret: gives the secret to sign with; called for each delivery.
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

    def __enter__(self) -> Load:
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
