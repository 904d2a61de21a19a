from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from support.deliveries import CAPTURED, CODE, PUBLISHED_PING, SECRET, STARTED_ENTRY, VALIDATION_PING, event_body

from airflow_provider_toggl.core.errors import DeliveryRefused
from airflow_provider_toggl.core.events.activity_log import StatusEntry
from airflow_provider_toggl.core.events.model import Appended, NewEvent
from airflow_provider_toggl.core.webhooks import delivery
from airflow_provider_toggl.core.webhooks.delivery import (
    OUTCOMES,
    Ping,
    ReceivingConnection,
    check_head,
    echo,
    outcome_of,
    ping_mark,
    read_delivery,
)

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=timezone.utc)
CONNECTION = ReceivingConnection("toggl_default", (SECRET,), workspace_id=7000001)


def read(body: bytes, connection: ReceivingConnection = CONNECTION, now: datetime = NOW) -> NewEvent:
    event = read_delivery(connection, body, now)
    assert isinstance(event, NewEvent)
    return event


def test_no_outcome_is_a_5xx_but_503_and_each_503_says_when_to_try_again() -> None:
    for outcome in OUTCOMES.values():
        assert outcome.status < 500 or (outcome.status == 503 and outcome.retry_after), outcome


def test_the_table_of_the_documentation_has_every_outcome_with_its_status() -> None:
    rows = [line.split()[:2] for line in (delivery.__doc__ or "").splitlines()]
    for outcome in OUTCOMES.values():
        status = "none" if outcome is delivery.CUT else str(outcome.status)
        assert [outcome.name, status] in rows


@pytest.mark.parametrize("lengths", [[], [b"0"], [b"100"], [b" 100\t"]])
def test_a_post_of_no_more_than_the_cap_may_be_read(lengths: list[bytes]) -> None:
    check_head("POST", lengths, cap=100)


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
def test_what_need_not_be_read_is_refused_before(method: str, lengths: list[bytes], outcome: str) -> None:
    with pytest.raises(DeliveryRefused) as refused:
        check_head(method, lengths, cap=100)
    assert refused.value.outcome == outcome
    assert refused.value.status == OUTCOMES[outcome].status


def test_a_captured_event_keeps_its_bytes_and_says_what_it_is_of() -> None:
    event = read(STARTED_ENTRY)
    assert event.body == STARTED_ENTRY
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


def test_what_comes_as_usual_is_not_odd() -> None:
    assert read(event_body(5, now=NOW)).anomaly is None


@pytest.mark.parametrize(("hours", "odd"), [(1, True), (-1, True), (0.05, False)])
def test_a_clock_an_hour_off_is_noted(hours: float, odd: bool) -> None:
    event = read(event_body(5, now=NOW + timedelta(hours=hours)))
    assert bool(event.anomaly and "timestamp 3600 s off" in event.anomaly) is odd


@pytest.mark.parametrize("timestamp", ["yesterday", "", "9999-99-99T00:00:00Z", 7, None, {"timestamp": "x"}, "\u20ac"])
def test_a_timestamp_that_is_none_stops_nothing(timestamp: object) -> None:
    assert read(event_body(5, now=NOW, timestamp=timestamp)).event_id == 5


@pytest.mark.parametrize(("own", "odd"), [(7000001, False), (7000002, True), (None, False)])
def test_a_foreign_workspace_is_noted(own: int | None, odd: bool) -> None:
    event = read(event_body(5, now=NOW), replace(CONNECTION, workspace_id=own))
    assert bool(event.anomaly and "another workspace" in event.anomaly) is odd


def test_an_event_without_a_number_is_kept_and_noted() -> None:
    event = read(event_body(0, now=NOW))
    assert event.event_id == 0
    assert "event_id is not positive" in (event.anomaly or "")


def test_a_validation_ping_has_a_code_to_say_again() -> None:
    ping = read_delivery(CONNECTION, VALIDATION_PING, NOW)
    assert isinstance(ping, Ping)
    assert ping.handshake is not None
    assert ping.handshake.subscription_id == 10710
    assert json.loads(echo(ping.handshake)) == {"validation_code": CODE}


def test_a_ping_to_a_validated_subscription_has_none() -> None:
    mark = StatusEntry(ping_mark(CONNECTION.conn_id, 6), "", NOW)
    assert read_delivery(CONNECTION, PUBLISHED_PING, NOW) == Ping(mark)


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b'{"event_id":1}', b"NaN", b"[" * 100_000, b"\xff"])
def test_signed_bytes_that_are_no_event_are_malformed(body: bytes) -> None:
    with pytest.raises(DeliveryRefused) as refused:
        read_delivery(CONNECTION, body, NOW)
    assert (refused.value.outcome, refused.value.status) == ("malformed", 400)


def test_duplicates_are_counted_apart_and_have_the_same_status() -> None:
    first, again = outcome_of(Appended(1, duplicate=False)), outcome_of(Appended(1, duplicate=True))
    assert (first.name, again.name) == ("stored", "duplicate")
    assert first.status == again.status == 200


def test_a_connection_s_text_has_no_secret() -> None:
    assert SECRET not in repr(CONNECTION)


@pytest.mark.parametrize("body", CAPTURED)
def test_all_captured_bodies_can_be_read(body: bytes) -> None:
    assert read_delivery(CONNECTION, body, NOW) is not None
