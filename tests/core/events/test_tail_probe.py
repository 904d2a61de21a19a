from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from airflow_provider_toggl.core.errors import EventStoreError
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.core.events.store import EventStore
from airflow_provider_toggl.core.events.tail_probe import PROBE, REPLY, ProbeResponder

NOW = datetime(2026, 11, 23, tzinfo=timezone.utc)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with SqliteEventStore(tmp_path / "events.sqlite") as opened:
        opened.prepare()
        yield opened


def test_a_probe_is_answered_with_its_token(store: EventStore) -> None:
    responder = ProbeResponder(0)
    responder.answer(store)
    assert store.activity_log.find_status(REPLY) is None
    for token in ("one", "two"):
        store.activity_log.set_status(PROBE, token, NOW)
        responder.answer(store)
        reply = store.activity_log.find_status(REPLY)
        assert reply is not None
        assert reply.value == token


def test_the_store_is_checked_only_after_the_pause(store: EventStore) -> None:
    responder = ProbeResponder(3600)
    responder.answer(store)
    store.activity_log.set_status(PROBE, "late", NOW)
    responder.answer(store)
    assert store.activity_log.find_status(REPLY) is None


def test_a_store_that_cannot_be_written_is_no_error(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise EventStoreError("read only")

    store.activity_log.set_status(PROBE, "one", NOW)
    monkeypatch.setattr(store.activity_log, "set_status", refuse)
    ProbeResponder(0).answer(store)
