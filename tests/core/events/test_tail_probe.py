from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from airflow_provider_toggl.core.errors import EventStoreError
from airflow_provider_toggl.core.events.sqlite_store import SqliteEventStore
from airflow_provider_toggl.core.events.store import Mark
from airflow_provider_toggl.core.events.tail_probe import PROBE, REPLY, ProbeResponder

NOW = datetime(2026, 11, 23, tzinfo=timezone.utc)


def test_a_question_is_answered_with_its_own_words(tmp_path: Path) -> None:
    with SqliteEventStore(tmp_path / "events.sqlite") as store:
        store.prepare()
        presence = ProbeResponder(0)
        presence.answer(store)
        assert store.find_mark(REPLY) is None
        for words in ("one", "two"):
            store.keep_mark(Mark(PROBE, words, NOW))
            presence.answer(store)
            answer = store.find_mark(REPLY)
            assert answer is not None
            assert answer.value == words


def test_it_is_looked_for_now_and_then_only(tmp_path: Path) -> None:
    with SqliteEventStore(tmp_path / "events.sqlite") as store:
        store.prepare()
        presence = ProbeResponder(3600)
        presence.answer(store)
        store.keep_mark(Mark(PROBE, "late", NOW))
        presence.answer(store)
        assert store.find_mark(REPLY) is None


def test_who_may_not_write_reads_on(tmp_path: Path) -> None:
    class ReadOnly(SqliteEventStore):
        def keep_mark(self, mark: Mark) -> None:
            raise EventStoreError("read only")

    with SqliteEventStore(tmp_path / "events.sqlite") as store:
        store.prepare()
        store.keep_mark(Mark(PROBE, "one", NOW))
    with ReadOnly(tmp_path / "events.sqlite") as store:
        ProbeResponder(0).answer(store)
