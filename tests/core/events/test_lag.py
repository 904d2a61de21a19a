from __future__ import annotations

from pathlib import Path

from support.metrics import recording
from support.webhook_events import change_event

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.errors import EventStoreUnavailable
from airflow_provider_toggl.core.events.lag import measure_store
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore


def test_the_end_of_a_store_and_what_each_consumer_has_yet_to_do_are_told(tmp_path: Path) -> None:
    with SqliteEventStore(tmp_path / "events.sqlite") as store, recording() as recorder:
        store.prepare()
        store.append([change_event(number) for number in range(1, 6)])
        store.commit("one", 2)
        store.commit("other", 5)
        measure_store(store, "")
    assert recorder.of(metrics.LAST_SEQ) == [({"store": "default"}, 5)]
    assert recorder.of(metrics.LAG) == [
        ({"store": "default", "consumer": "one"}, 3),
        ({"store": "default", "consumer": "other"}, 0),
    ]


def test_of_a_store_that_cannot_be_asked_nothing_is_reported(tmp_path: Path) -> None:
    class Away(SqliteEventStore):
        def last_seq(self) -> int:
            raise EventStoreUnavailable("It is away.")

    with Away(tmp_path / "events.sqlite") as store, recording() as recorder:
        measure_store(store, "")
    assert recorder.sent == []
