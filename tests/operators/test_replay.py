from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fakes import answer, fake_session, quota_headers

from airflow_provider_toggl.core import errors
from airflow_provider_toggl.core.client.resources.webhooks import WebhooksClient
from airflow_provider_toggl.core.client.responses import TogglResponse
from airflow_provider_toggl.core.client.transport import OutgoingRequest
from airflow_provider_toggl.core.clock import utc
from airflow_provider_toggl.core.events.message import parse_message
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.operators.replay import REPLAYED, ReplayProgress, event_from_log, replay_log

START = utc(1_780_000_000.0)


def row(event_id: int = 8_260_000_000_000_001, **fields: Any) -> dict[str, Any]:
    """Return a row of Toggl's log."""
    return {
        "consumer_id": 4,
        "created_at": "2026-03-10T11:43:32.827Z",
        "creator_id": 5,
        "event_id": event_id,
        "failed_delivery_attempts": 3,
        "last_delivery_attempt": "2026-03-10T11:43:35.001Z",
        "last_delivery_error": None,
        "metadata": {"action": "updated", "model": "time_entry", "time_entry_id": "77", "workspace_id": "7"},
        "payload": {"id": 77, "workspace_id": 7, "description": "Caf\u00e9 <b> \U0001f680 \ud800"},
        **fields,
    }


def serve(reply: Callable[[OutgoingRequest], TogglResponse]) -> WebhooksClient:
    return WebhooksClient(fake_session(reply)[0], 7)


def pages(
    rows: list[dict[str, Any]], size: int, *, total: bool = True, **headers: Any
) -> Callable[[OutgoingRequest], TogglResponse]:
    """Return what serves these rows, so many a page."""

    def reply(call: OutgoingRequest) -> TogglResponse:
        offset = call.params["offset"]
        body = {"events": rows[offset : offset + size], **({"total": len(rows)} if total else {})}
        return answer(200, body, call=call, **headers)

    return reply


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteEventStore]:
    with SqliteEventStore(tmp_path / "events.sqlite") as opened:
        opened.prepare()
        yield opened


def run(webhooks: WebhooksClient, store: SqliteEventStore, state: ReplayProgress | None = None) -> ReplayProgress:
    state = state or ReplayProgress()
    replay_log(webhooks, store, 3, conn_id="toggl_default", state=state)
    return state


@pytest.mark.parametrize("size", [1, 2, 50])
@pytest.mark.parametrize("total", [True, False])
def test_all_pages_are_appended_whatever_their_size(store: SqliteEventStore, size: int, total: bool):
    rows = [row(number) for number in range(1, 6)]
    state = run(serve(pages(rows, size, total=total)), store)
    assert [event.event.event_id for event in store.read(0)] == [1, 2, 3, 4, 5]
    assert (state.appended, state.duplicates, state.served, state.is_complete) == (5, 0, True, True)


def test_each_page_is_logged_with_its_fields(store: SqliteEventStore, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO):
        run(serve(pages([row(number) for number in range(1, 4)], 2)), store)
    lines = [vars(record) for record in caplog.records if "of Toggl's log" in record.getMessage()]
    assert [(line["pages"], line["rows"]) for line in lines] == [(1, 2), (2, 3)]
    assert {(line["by"], line["connection"], line["workspace_id"], line["subscription_id"]) for line in lines} == {
        ("replay", "toggl_default", 7, 3)
    }


def test_no_event_is_stored_twice(store: SqliteEventStore):
    run(serve(pages([row(1), row(2)], 10)), store)
    state = run(serve(pages([row(3), row(2), row(1)], 10)), store)
    assert (state.appended, state.duplicates) == (1, 2)
    assert store.count() == 3


def test_a_replayed_event_is_read_like_a_delivered_one(store: SqliteEventStore):
    run(serve(pages([row()], 10)), store)
    (stored,) = store.read(0)
    event = stored.event
    assert (event.subscription_id, event.conn_id, event.workspace_id) == (3, "toggl_default", 7)
    assert (event.entity, event.action, event.entity_id) == ("time_entry", "updated", 77)
    assert event.anomaly is not None
    assert event.anomaly.startswith(REPLAYED)
    message = parse_message(event.body)
    assert message.payload == row()["payload"]
    assert "failed_delivery_attempts" not in json.loads(event.body)


def test_pings_and_unusable_rows_are_counted_and_skipped(store: SqliteEventStore):
    state = run(serve(pages([row(0, payload="ping"), row(event_id="x"), {}, row(9)], 10)), store)
    assert (state.appended, state.pings, state.unusable) == (1, 1, 2)
    assert state.is_complete


def test_a_missing_log_is_reported_without_an_error(store: SqliteEventStore):
    state = run(serve(lambda call: answer(410, "Gone", call=call)), store)
    assert (state.served, state.is_complete, store.count()) == (False, False, 0)


def test_an_ignored_offset_does_not_loop(store: SqliteEventStore):
    body = {"total": 100, "events": [row(1), row(2)]}
    state = run(serve(lambda call: answer(200, body, call=call)), store)
    assert (state.appended, state.pages, state.is_complete) == (2, 1, False)


def test_an_interrupted_replay_continues_with_the_next_page(store: SqliteEventStore):
    rows = [row(number) for number in range(1, 5)]
    state = ReplayProgress()
    with pytest.raises(errors.QuotaExhausted):
        run(serve(pages(rows, 2, headers=quota_headers(0, 100))), store, state)
    assert (state.offset, state.appended) == (2, 2)
    state = run(serve(pages(rows, 2)), store, ReplayProgress(**asdict(state)))
    assert (state.offset, state.appended, state.pages, state.is_complete) == (4, 4, 2, True)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted(row())), json_values))
def test_any_row_is_an_event_or_a_ping_or_refused(fields: dict[str, Any]):
    try:
        event = event_from_log(row() | fields, subscription_id=3, conn_id="t", received_at=START)
    except errors.DeliveryRefused:
        return
    if event is not None:
        assert event.subscription_id == 3
        assert event.event_id == parse_message(event.body).event_id
