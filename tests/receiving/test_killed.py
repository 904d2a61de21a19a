from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from support.deliveries import DeliveryLoad
from support.servers.receivers import ReceiverProcess
from support.waiting import wait_until

from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore


def ids_in(path: Path) -> Counter[int]:
    """Return how often each event is in the store."""
    with SqliteEventStore(path) as store:
        return Counter(one.event.event_id for one in store.read(0, 10_000_000))


def kill_under_load(home: Path, times: int) -> None:
    """Kill a receiver again and again, and compare what was answered 2xx with what is stored."""
    with ReceiverProcess(home) as receiver, DeliveryLoad(receiver.address()) as load:
        for _ in range(times):
            before = len(load.taken)
            wait_until(lambda before=before: len(load.taken) > before + 50, timeout=60)
            receiver.kill()
            receiver.start()
        load.stop()
        stored = ids_in(receiver.store_path)
    assert load.broken > 0
    assert len(load.taken) > 50 * times
    assert set(load.taken) - set(stored) == set()
    assert {number for number, times in stored.items() if times > 1} == set()
    assert set(load.statuses) <= {200, 503}


@pytest.mark.slow
def test_what_was_answered_2xx_is_stored_once_however_often_the_receiver_is_killed(tmp_path: Path) -> None:
    kill_under_load(tmp_path, 3)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_fifty_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    kill_under_load(tmp_path, 50)


def test_a_receiver_that_is_terminated_under_load_answers_its_requests(tmp_path: Path) -> None:
    with ReceiverProcess(tmp_path) as receiver, DeliveryLoad(receiver.address()) as load:
        wait_until(lambda: len(load.taken) > 100)
        receiver.stop()
        load.stop()
        stored = ids_in(receiver.store_path)
        assert "Traceback" not in receiver.log()
    assert set(load.taken) <= set(stored)
    assert set(load.statuses) == {200}
