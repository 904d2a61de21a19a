from __future__ import annotations

from typing import Any

import pytest
from support.task_log import task_log
from support.webhook_events import change_event

from airflow_provider_toggl.core.errors import ConfigurationError, EventNotFound
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.operators.events import TogglCommitEventsOperator

pytestmark = pytest.mark.airflow


def commit(seq: Any) -> dict[str, Any]:
    return TogglCommitEventsOperator(task_id="commit", consumer="report", seq=seq).execute({})


def test_a_commit_never_moves_a_consumer_back(store: SqliteEventStore):
    store.append([change_event(number) for number in range(1, 6)])
    assert commit("4") == {"consumer": "report", "seq": 4}
    assert commit(2) == {"consumer": "report", "seq": 4}
    consumer = store.find_consumer("report")
    assert consumer
    assert consumer.seq == 4


def test_a_commit_is_logged_with_fields(store: SqliteEventStore):
    store.append([change_event(1)])
    with task_log() as find:
        commit(1)
    line = find("has committed event 1")
    assert (line["connection"], line["by"], line["consumer"], line["seq"]) == ("toggl_default", "commit", "report", 1)


def test_an_event_that_was_never_stored_cannot_be_committed(store: SqliteEventStore):
    with pytest.raises(EventNotFound):
        commit(1)


@pytest.mark.parametrize("seq", ["", "None", None])
def test_a_wrong_seq_is_refused(seq: Any):
    with pytest.raises(ConfigurationError, match="seq"):
        commit(seq)
