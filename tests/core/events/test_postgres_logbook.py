from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.event_stores import RECEIVED
from support.servers.postgres import PostgresServer

from airflow_provider_toggl.core.events.logbook import Received
from airflow_provider_toggl.core.events.postgres_store import PostgresEventStore


@pytest.fixture
def store(postgres: PostgresServer) -> Iterator[PostgresEventStore]:
    with PostgresEventStore(postgres.dsn, schema=f"logbook_{uuid.uuid4().hex}") as store:
        store.prepare()
        yield store


def test_receivers_that_tell_at_once_wait_for_each_other_and_no_count_is_lost(store: PostgresEventStore) -> None:
    outcomes = [("mine", name) for name in ("stored", "duplicate", "ping")]

    def tell(number: int) -> None:
        # In another order each time: nobody must wait in a circle.
        counts = dict.fromkeys(outcomes[number % 3 :] + outcomes[: number % 3], 1)
        store.logbook.keep_received(Received(RECEIVED, counts))

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(tell, range(60)))
    found = store.logbook.samples("received/", RECEIVED)
    assert {sample.name: sample.value for sample in found} == {
        f"received/mine/{name}": 60 for name in ("stored", "duplicate", "ping")
    }
