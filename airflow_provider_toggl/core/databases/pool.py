"""A pool of database connections that threads share. A forked child abandons the idle ones of its parent."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from airflow_provider_toggl.core.databases.database import DatabaseErrors

C = TypeVar("C")

_INHERITED: list[object] = []
"""Idle connections that this process inherited from a fork. They belong to the parent: closing one here would end it
there, or remove files that the parent uses. So they are kept, out of reach of garbage collection."""


class ConnectionPool(Generic[C]):
    """Lends each connection to one thread at a time. It has no upper limit, and keeps connections until it is cleared.

    Do not fork while a connection is lent.

    :param open_one: opens a connection.
    :param close_one: closes a connection; must not raise.
    :param errors: the owner's errors; ``unavailable`` is raised once the pool is closed.
    """

    def __init__(self, open_one: Callable[[], C], close_one: Callable[[C], None], errors: DatabaseErrors) -> None:
        self._open_one = open_one
        self._close_one = close_one
        self._errors = errors
        # No lock: if another thread held it during a fork, it would stay locked in the child for ever. Appending to a
        # deque and popping from it are atomic.
        self._idle: deque[C] = deque()
        self._process = os.getpid()
        self._closed = False

    @contextmanager
    def borrow(self) -> Iterator[C]:
        """Lend a connection; an error closes it, because its state is unknown.

        :raises unavailable: the pool is closed.
        """
        if self._process != os.getpid():
            _INHERITED.append(self._idle)
            self._idle, self._process = deque(), os.getpid()
        if self._closed:
            raise self._errors.unavailable(
                f"The {self._errors.name} was closed by this process and cannot be used any more."
            )
        connection = self._take()
        try:
            yield connection
        except BaseException:
            self._close_one(connection)
            raise
        self._give_back(connection)

    def clear(self) -> None:
        """Close the idle connections."""
        while self._process == os.getpid():
            try:
                connection = self._idle.pop()
            except IndexError:
                return
            self._close_one(connection)

    def close(self) -> None:
        """Close all connections; those in use are closed when they are returned."""
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
