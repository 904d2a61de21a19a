from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from airflow_provider_toggl.core.errors import EventStoreError
from airflow_provider_toggl.core.events.activity_log import StatusEntry
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.core.events.tail_probe import PROBE, REPLY, ProbeResponder

NOW = datetime(2026, 11, 23, tzinfo=timezone.utc)


class Store(SqliteEventStore):
    is_read_only = False

    def keep_mark(self, mark: StatusEntry) -> None:
        if self.is_read_only:
            raise EventStoreError("read only")
        super().keep_mark(mark)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "events.sqlite") as opened:
        opened.prepare()
        yield opened


def test_a_probe_is_answered_with_its_token(store: Store) -> None:
    responder = ProbeResponder(0)
    responder.answer(store)
    assert store.find_mark(REPLY) is None
    for token in ("one", "two"):
        store.keep_mark(StatusEntry(PROBE, token, NOW))
        responder.answer(store)
        reply = store.find_mark(REPLY)
        assert reply is not None
        assert reply.value == token


def test_the_store_is_checked_only_after_the_pause(store: Store) -> None:
    responder = ProbeResponder(3600)
    responder.answer(store)
    store.keep_mark(StatusEntry(PROBE, "late", NOW))
    responder.answer(store)
    assert store.find_mark(REPLY) is None


def test_a_store_that_cannot_be_written_is_no_error(store: Store) -> None:
    store.keep_mark(StatusEntry(PROBE, "one", NOW))
    store.is_read_only = True
    ProbeResponder(0).answer(store)
