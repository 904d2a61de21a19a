from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.deliveries import DeliveryLoad
from support.servers.postgres import PostgresServer, running_postgres
from support.servers.receivers import ReceiverProcess
from support.waiting import wait_until

from airflow_provider_toggl.core.events.postgres.engine import PostgresEventStore


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    """A server of its own, since it is stopped."""
    with running_postgres() as server:
        yield server


def restart_under_load(home: Path, postgres: PostgresServer, hows: list[signal.Signals]) -> None:
    """Restart the database again and again, and compare what was answered 2xx with what is stored."""
    env = {"AIRFLOW_CONN_EVENTS": json.dumps(postgres.connection)}
    extra = {"event_store_conn_id": "events"}
    with ReceiverProcess(home, extra=extra, env=env) as receiver, DeliveryLoad(receiver.address()) as load:
        for how in hows:
            before = len(load.taken)
            wait_until(lambda before=before: len(load.taken) > before + 50, timeout=60)
            postgres.stop(how)
            refused = load.statuses[503]
            wait_until(lambda refused=refused: load.statuses[503] > refused, timeout=60)
            postgres.start()
        before = len(load.taken)
        wait_until(lambda: len(load.taken) > before + 50, timeout=60)
        load.stop()
        assert "Traceback" not in receiver.log()
    assert set(load.statuses) == {200, 503}
    assert load.broken == 0
    with PostgresEventStore(postgres.dsn) as store:
        stored = Counter(one.event.event_id for one in store.read(0, 10_000_000))
    assert set(load.taken) <= set(stored)
    assert set(stored.values()) == {1}


@pytest.mark.slow
def test_a_database_that_is_restarted_is_503_and_nothing_that_was_answered_2xx_is_lost(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    restart_under_load(tmp_path, postgres, [signal.SIGINT, signal.SIGQUIT])


@pytest.mark.soak
def test_five_restarts_of_the_database_lose_and_double_nothing(tmp_path: Path, postgres: PostgresServer) -> None:
    restart_under_load(tmp_path, postgres, [signal.SIGINT, signal.SIGQUIT] * 3)
