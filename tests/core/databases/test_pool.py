from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from airflow_provider_toggl.core.databases.pool import ConnectionPool
from airflow_provider_toggl.core.errors import EventStoreUnavailable
from airflow_provider_toggl.core.events.engine import ERRORS


class Opened:
    """What was opened and closed, by number."""

    def __init__(self) -> None:
        self.opened: list[int] = []
        self.closed: list[int] = []
        self.pool = ConnectionPool(self.open, self.closed.append, ERRORS)

    def open(self) -> int:
        self.opened.append(len(self.opened) + 1)
        return self.opened[-1]

    def use_and_fail(self) -> None:
        with self.pool.borrow():
            raise KeyError


def test_a_connection_is_used_again() -> None:
    made = Opened()
    for _ in range(3):
        with made.pool.borrow() as connection:
            assert connection == 1
    assert made.closed == []


def test_two_at_once_have_two() -> None:
    made, barrier = Opened(), Barrier(2)

    def use(_: int) -> int:
        with made.pool.borrow() as connection:
            barrier.wait()
            return connection

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(use, range(2))) == [1, 2]


def test_after_an_error_a_connection_is_closed_and_not_used_again() -> None:
    made = Opened()
    with pytest.raises(KeyError):
        made.use_and_fail()
    assert made.closed == [1]
    with made.pool.borrow() as connection:
        assert connection == 2


def test_closing_closes_also_what_is_in_use_when_it_comes_back() -> None:
    made = Opened()
    with made.pool.borrow(), made.pool.borrow():
        pass
    with made.pool.borrow():
        made.pool.close()
        assert len(made.closed) == 1
    assert sorted(made.closed) == [1, 2]
    with pytest.raises(EventStoreUnavailable, match="closed"), made.pool.borrow():
        pass
