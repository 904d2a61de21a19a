from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from airflow_provider_toggl.core.errors import EventStoreError
from airflow_provider_toggl.core.events.activity_log import StatusEntry
from airflow_provider_toggl.core.events.presence import ANSWER, QUESTION, Presence
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore

NOW = datetime(2026, 11, 23, tzinfo=timezone.utc)


def test_a_question_is_answered_with_its_own_words(tmp_path: Path) -> None:
    with SqliteEventStore(tmp_path / "events.sqlite") as store:
        store.prepare()
        presence = Presence(0)
        presence.answer(store)
        assert store.activity_log.find_status(ANSWER) is None
        for words in ("one", "two"):
            store.activity_log.set_status(QUESTION, words, NOW)
            presence.answer(store)
            answer = store.activity_log.find_status(ANSWER)
            assert answer is not None
            assert answer.value == words


def test_it_is_looked_for_now_and_then_only(tmp_path: Path) -> None:
    with SqliteEventStore(tmp_path / "events.sqlite") as store:
        store.prepare()
        presence = Presence(3600)
        presence.answer(store)
        store.activity_log.set_status(QUESTION, "late", NOW)
        presence.answer(store)
        assert store.activity_log.find_status(ANSWER) is None


def test_who_may_not_write_reads_on(tmp_path: Path) -> None:
    class ReadOnly(SqliteEventStore):
        def keep_mark(self, mark: StatusEntry) -> None:
            raise EventStoreError("read only")

    with SqliteEventStore(tmp_path / "events.sqlite") as store:
        store.prepare()
        store.activity_log.set_status(QUESTION, "one", NOW)
    with ReadOnly(tmp_path / "events.sqlite") as store:
        Presence(0).answer(store)
