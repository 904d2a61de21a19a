"""Open database connections that wait for their next use, safe over threads and forks."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from airflow_provider_toggl.core.errors import EventStoreUnavailable

C = TypeVar("C")

_OF_PARENTS: list[object] = []
"""Connections that were open when this process was forked. They are their parent's: closing one here would end it
there, or remove files from under it."""


class ConnectionPool(Generic[C]):
    """Gives a connection to one thread at a time; there are as many as threads ever used one at once.

    :param open_one: opens a connection.
    :param close_one: closes a connection; must not raise.
    """

    def __init__(self, open_one: Callable[[], C], close_one: Callable[[C], None]) -> None:
        self._open_one = open_one
        self._close_one = close_one
        # No lock: one that another thread holds during a fork would stay locked in the child for ever.
        self._idle: deque[C] = deque()
        self._process = os.getpid()
        self._closed = False

    @contextmanager
    def borrow(self) -> Iterator[C]:
        """Lend a connection; after an error it is closed, whatever state it was in.

        :raises EventStoreUnavailable: the pool is closed.
        """
        if self._process != os.getpid():
            _OF_PARENTS.append(self._idle)
            self._idle, self._process = deque(), os.getpid()
        if self._closed:
            raise EventStoreUnavailable("The event store was closed by this process and cannot be used any more.")
        connection = self._take()
        try:
            yield connection
        except BaseException:
            self._close_one(connection)
            raise
        self._give_back(connection)

    def clear(self) -> None:
        """Close the connections that nobody uses."""
        while self._process == os.getpid():
            try:
                connection = self._idle.pop()
            except IndexError:
                return
            self._close_one(connection)

    def close(self) -> None:
        """Close all connections, those in use when they come back."""
        self._closed = True
        self.clear()

    def _give_back(self, connection: C) -> None:
        self._idle.append(connection)
        if self._closed:
            self.clear()

    def _take(self) -> C:
        try:
            return self._idle.pop()
        except IndexError:
            return self._open_one()
