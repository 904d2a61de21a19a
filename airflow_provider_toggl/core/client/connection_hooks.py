"""The moment at which a request leaves: its connection is open, and its first byte is about to be written.

Opening a connection takes Toggl's clients a fifth of a second and a kept one takes none, so the moment at which a
request is begun says too little about when it arrives. And what never left has surely had no effect.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection


@dataclass
class Departure:
    """One request's leaving.

    :param announce: called just before it leaves, again when it is sent on by a redirect.
    :param has_left: whether any byte of it may have left.
    """

    announce: Callable[[], None]
    has_left: bool = False


_CURRENT: ContextVar[Departure | None] = ContextVar("departure", default=None)


@contextmanager
def watched(announce: Callable[[], None]) -> Iterator[Departure]:
    """Watch what this thread sends by an :class:`AnnouncingAdapter`."""
    departure = Departure(announce)
    token = _CURRENT.set(departure)
    try:
        yield departure
    finally:
        _CURRENT.reset(token)


class _Announcing(http.client.HTTPConnection):
    """Opens itself before it announces, and announces before it writes the first byte of a request."""

    _is_new_request = False

    def putrequest(self, *arguments: Any, **options: Any) -> None:
        self._is_new_request = True
        super().putrequest(*arguments, **options)

    def send(self, data: Any) -> None:
        if self._is_new_request:
            # Before connecting: what a proxy is told to open a tunnel goes through here too, and is no request yet.
            self._is_new_request = False
            if self.sock is None:
                self.connect()
            departure = _CURRENT.get()
            if departure is not None:
                departure.announce()
                departure.has_left = True
        super().send(data)


class _Connection(_Announcing, HTTPConnection):
    """Without TLS."""


class _TlsConnection(_Announcing, HTTPSConnection):
    """With TLS; it is open once the handshake is done."""


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class AnnouncingAdapter(HTTPAdapter):
    """Sends like the adapter of requests, and announces each departure; not where a SOCKS proxy is between."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Use our connections."""
        super().init_poolmanager(*arguments, **options)
        _use_our_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Use our connections through a proxy too."""
        manager = super().proxy_manager_for(proxy, **options)
        if not proxy.lower().startswith("socks"):
            _use_our_pools(manager)
        return manager


def _use_our_pools(manager: urllib3.PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
