"""A pool of database connections that is safe across threads and forks."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from airflow_provider_toggl.core.databases.database import DatabaseErrors

C = TypeVar("C")

_INHERITED: list[object] = []
"""Connections that were open when this process was forked. They belong to the parent: closing one here would end it
there, or remove files that the parent uses. So they are kept and never used."""


class ConnectionPool(Generic[C]):
    """Lends each connection to one thread at a time; holds as many as were ever in use at once.

    :param open_one: opens a connection.
    :param close_one: closes a connection; must not raise.
    :param errors: what to raise once the pool is closed.
    """

    def __init__(self, open_one: Callable[[], C], close_one: Callable[[C], None], errors: DatabaseErrors) -> None:
        self._open_one = open_one
        self._close_one = close_one
        self._errors = errors
        # No lock: if another thread held it during a fork, it would stay locked in the child for ever.
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
