from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from support.deliveries import CODE, PUBLISHED_PING, SECRET, STARTED_ENTRY, VALIDATION_PING, event_body

from airflow_provider_toggl.core.errors import DeliveryRefused
from airflow_provider_toggl.core.events.activity_log import StatusEntry
from airflow_provider_toggl.core.events.model import Handshake, NewEvent
from airflow_provider_toggl.core.webhooks import delivery
from airflow_provider_toggl.core.webhooks.delivery import (
    OUTCOMES,
    Ping,
    ReceivingConnection,
    check_head,
    last_ping_key,
    read_delivery,
)

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=timezone.utc)
CONNECTION = ReceivingConnection("toggl_default", (SECRET,), workspace_id=7000001)


def read(body: bytes, connection: ReceivingConnection = CONNECTION, now: datetime = NOW) -> NewEvent:
    event = read_delivery(connection, body, now)
    assert isinstance(event, NewEvent)
    return event


def test_the_only_5xx_is_503_and_it_has_a_retry_after() -> None:
    for outcome in OUTCOMES.values():
        assert outcome.status < 500 or (outcome.status == 503 and outcome.retry_after), outcome


def test_the_table_of_the_module_has_every_outcome_with_its_status() -> None:
    rows = [line.split()[:2] for line in (delivery.__doc__ or "").splitlines()]
    for outcome in OUTCOMES.values():
        status = "none" if outcome is delivery.CUT else str(outcome.status)
        assert [outcome.name, status] in rows


@pytest.mark.parametrize("lengths", [[], [b"0"], [b"100"], [b" 100\t"]])
def test_the_body_of_a_post_within_the_limit_is_read(lengths: list[bytes]) -> None:
    check_head("POST", lengths, max_bytes=100)


@pytest.mark.parametrize(
    ("method", "lengths", "outcome"),
    [
        ("GET", [], "method"),
        ("post", [], "method"),
        ("POST", [b"101"], "too_large"),
        ("POST", [b"9" * 5000], "too_large"),
        ("POST", [b"-1"], "malformed"),
        ("POST", [b"1e3"], "malformed"),
        ("POST", [b""], "malformed"),
        ("POST", ["٣".encode()], "malformed"),
        ("POST", [b"5", b"5"], "malformed"),
    ],
)
def test_other_requests_are_refused_before_their_body_is_read(method: str, lengths: list[bytes], outcome: str) -> None:
    with pytest.raises(DeliveryRefused) as refused:
        check_head(method, lengths, max_bytes=100)
    assert refused.value.outcome == outcome
    assert refused.value.status == OUTCOMES[outcome].status


def test_a_captured_event_is_read_with_its_bytes_and_columns() -> None:
    event = read(STARTED_ENTRY)
    assert event == NewEvent(
        subscription_id=10713,
        event_id=8023169274704072,
        body=STARTED_ENTRY,
        received_at=NOW,
        conn_id="toggl_default",
        workspace_id=7000001,
        entity="time_entry",
        action="created",
        entity_id=3050537739,
        created_at=datetime(2023, 7, 17, 11, 43, 32, 827000, tzinfo=timezone.utc),
        anomaly=event.anomaly,
    )


def test_a_usual_event_has_no_anomaly() -> None:
    assert read(event_body(5, now=NOW)).anomaly is None


@pytest.mark.parametrize(("hours", "recorded"), [(1, True), (-1, True), (0.05, False)])
def test_a_timestamp_far_from_this_clock_is_recorded(hours: float, recorded: bool) -> None:
    event = read(event_body(5, now=NOW + timedelta(hours=hours)))
    assert bool(event.anomaly and "timestamp 3600 s off" in event.anomaly) is recorded


@pytest.mark.parametrize("timestamp", ["yesterday", "", "9999-99-99T00:00:00Z", 7, None, {"timestamp": "x"}, "\u20ac"])
def test_an_unreadable_timestamp_is_ignored(timestamp: object) -> None:
    assert read(event_body(5, now=NOW, timestamp=timestamp)).event_id == 5


@pytest.mark.parametrize(("own", "recorded"), [(7000001, False), (7000002, True), (None, False)])
def test_an_event_of_another_workspace_is_recorded_as_such(own: int | None, recorded: bool) -> None:
    event = read(event_body(5, now=NOW), replace(CONNECTION, workspace_id=own))
    assert bool(event.anomaly and "another workspace" in event.anomaly) is recorded


@pytest.mark.parametrize(("body", "number", "code"), [(VALIDATION_PING, 10710, CODE), (PUBLISHED_PING, 6, None)])
def test_a_ping_has_a_mark_and_its_code_if_it_validates(body: bytes, number: int, code: str | None) -> None:
    mark = StatusEntry(last_ping_key("toggl_default", number), "", NOW)
    handshake = Handshake(number, "toggl_default", code, NOW) if code else None
    assert read_delivery(CONNECTION, body, NOW) == Ping(mark, handshake)


def test_a_signed_body_that_is_no_event_is_malformed() -> None:
    with pytest.raises(DeliveryRefused) as refused:
        read_delivery(CONNECTION, b'{"event_id":1}', NOW)
    assert (refused.value.outcome, refused.value.status) == ("malformed", 400)


def test_the_repr_of_a_connection_has_no_secret() -> None:
    assert SECRET not in repr(CONNECTION)
