from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.deliveries import CODE, PUBLISHED_PING, STARTED_ENTRY, VALIDATION_PING
from support.event_stores import new_event

from airflow_provider_toggl.core.errors import DeliveryRefused
from airflow_provider_toggl.core.events.message import MAX_DEPTH, Message, build_event_batch, parse_message
from airflow_provider_toggl.core.events.model import StoredEvent


def body(**fields: Any) -> bytes:
    usual = {
        "event_id": 5,
        "created_at": "2026-03-02T08:00:00Z",
        "metadata": {"action": "updated", "model": "project", "project_id": "7", "workspace_id": "1"},
        "payload": {"id": 7, "workspace_id": 1},
        "subscription_id": 9,
    }
    return json.dumps({**usual, **fields}).encode()


def test_a_captured_event_is_parsed() -> None:
    message = parse_message(STARTED_ENTRY)
    assert message == Message(
        event_id=8023169274704072,
        subscription_id=10713,
        entity="time_entry",
        action="created",
        entity_id=3050537739,
        workspace_id=7000001,
        created_at=datetime(2023, 7, 17, 11, 43, 32, 827000, tzinfo=timezone.utc),
        metadata=message.metadata,
        payload=json.loads(STARTED_ENTRY)["payload"],
    )
    assert message.anomalies == ()


@pytest.mark.parametrize(
    ("ping", "subscription", "code"),
    [(PUBLISHED_PING, 6, None), (VALIDATION_PING, 10710, CODE)],
)
def test_a_captured_ping_is_parsed(ping: bytes, subscription: int, code: str | None) -> None:
    message = parse_message(ping)
    assert (message.is_ping, message.event_id, message.subscription_id) == (True, 0, subscription)
    assert message.validation_code == code
    assert message.anomalies == ()


@pytest.mark.parametrize("payload", [{"id": 7, "wid": 1, "uid": 2}, None])
def test_a_deletion_may_have_only_ids_or_no_payload(payload: Any) -> None:
    metadata = {"action": "deleted", "model": "project", "project_id": "7", "workspace_id": "1"}
    message = parse_message(body(metadata=metadata, payload=payload))
    assert (message.action, message.entity_id, message.workspace_id, message.anomalies) == ("deleted", 7, 1, ())


@pytest.mark.parametrize("name", ["time_entry_id", "entity_id"])
def test_the_id_may_be_in_either_key_of_the_metadata(name: str) -> None:
    metadata = {"action": "deleted", "model": "time_entry", name: "3050537739"}
    assert parse_message(body(metadata=metadata, payload=None)).entity_id == 3050537739


def test_large_event_ids_stay_exact() -> None:
    assert parse_message(body(event_id=2**70 + 1)).event_id == 2**70 + 1


@pytest.mark.parametrize(
    ("fields", "anomaly"),
    [
        ({"event_id": 0}, "event_id is not positive"),
        ({"payload": "ping", "event_id": 4}, "a ping with an event_id"),
        ({"payload": [1]}, "payload is not an object"),
        ({"metadata": 5}, "metadata is not an object; no valid model; no valid action"),
        ({"metadata": None}, "no metadata; no valid model; no valid action"),
        ({"metadata": {"model": "invoice", "action": "paid"}}, "unknown model; unknown action"),
        ({"metadata": {"model": "a b", "action": 5}}, "no valid model; no valid action"),
        ({"created_at": "yesterday"}, "no valid created_at"),
        ({"payload": {}, "metadata": {"model": "tag", "action": "created"}}, "no id of what changed"),
        ({"payload": {"id": 2**63}, "metadata": {"model": "tag", "action": "created"}}, "no id of what changed"),
        ({"payload": {"id": True}, "metadata": {"model": "tag", "action": "created"}}, "no id of what changed"),
    ],
)
def test_unusual_values_become_anomalies(fields: dict[str, Any], anomaly: str) -> None:
    assert "; ".join(parse_message(body(**fields)).anomalies) == anomaly


def test_a_repeated_key_is_an_anomaly_and_its_last_value_is_used() -> None:
    twice = body().replace(b'"subscription_id": 9', b'"subscription_id": 8, "subscription_id": 9')
    message = parse_message(twice)
    assert (message.subscription_id, message.anomalies) == (9, ("subscription_id more than once",))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff" + STARTED_ENTRY,
        b"\xef\xbb\xbf" + STARTED_ENTRY,
        STARTED_ENTRY.replace(b"false", b"NaN"),
        b"[" + STARTED_ENTRY + b"]",
        b"null",
        b'{"event_id":5}',
        body(event_id="5"),
        body(event_id=5.0),
        body(event_id=True),
        body(subscription_id="9"),
        b'{"event_id":1e400,"subscription_id":9}',
        b'{"event_id":%s,"subscription_id":9}' % (b"9" * 5000),
        body(payload=None).replace(b"null", b"[" * MAX_DEPTH + b"]" * MAX_DEPTH),
        b'{"a":' * 100_000,
        b"[" * 100_000,
    ],
)
def test_a_body_that_is_no_event_is_refused(data: bytes) -> None:
    with pytest.raises(DeliveryRefused) as caught:
        parse_message(data)
    assert (caught.value.outcome, caught.value.status) == ("malformed", 400)
    assert "TrackExtension" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_brackets_within_strings_are_not_nesting() -> None:
    text = json.dumps('[{"' * 200)
    assert parse_message(body(payload={"id": 1, "description": text})).entity_id == 1
    inner: Any = 1
    for _ in range(MAX_DEPTH - 2):
        inner = [inner]
    assert parse_message(body(payload={"id": 1, "x": inner})).entity_id == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ("event_id", "created_at", "creator_id", "metadata", "payload", "subscription_id", "validation_code")


@given(st.binary(max_size=300))
@example(b'{"event_id":0,"subscription_id":1,"payload":"ping","validation_code":"\\ud800"}')
def test_any_bytes_are_parsed_or_refused(data: bytes) -> None:
    try:
        message = parse_message(data)
    except DeliveryRefused:
        return
    assert isinstance(message, Message)


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_any_values_are_parsed_if_both_ids_are_integers(fields: dict[str, Any]) -> None:
    data = json.dumps({"event_id": 7, "subscription_id": 9, **fields}).encode()
    try:
        message = parse_message(data)
    except DeliveryRefused:
        ids = [fields.get(name, 1) for name in ("event_id", "subscription_id")]
        whole = all(isinstance(value, int) and not isinstance(value, bool) for value in ids)
        assert not whole or b"NaN" in data or b"Infinity" in data
        return
    assert message.event_id == fields.get("event_id", 7)
    assert message.is_ping or message.anomalies
    for value in (message.entity_id, message.workspace_id):
        assert value is None or -(2**63) <= value < 2**63


@given(st.data())
def test_a_captured_body_with_changed_bytes_is_parsed_or_refused(data: st.DataObject) -> None:
    changed = bytearray(data.draw(st.sampled_from([STARTED_ENTRY, VALIDATION_PING])))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(changed) - 1))
        changed[place : place + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=6))
        changed = changed or bytearray(b" ")
    with suppress(DeliveryRefused):
        assert isinstance(parse_message(bytes(changed)), Message)


STORED = [StoredEvent(seq, new_event(seq, body=body(event_id=seq))) for seq in (3, 4, 8, 9)]


def test_a_batch_has_the_message_of_each_event() -> None:
    batch = build_event_batch(STORED)
    assert (batch.first_seq, batch.last_seq) == (3, 9)
    assert [message.event_id for message in batch.messages] == [3, 4, 8, 9]
    assert batch.after(2) is batch


@pytest.mark.parametrize(("seq", "left"), [(0, 4), (2, 4), (3, 3), (5, 2), (8, 1)])
def test_the_part_of_a_batch_after_a_seq_is_a_batch(seq: int, left: int) -> None:
    assert build_event_batch(STORED).after(seq) == build_event_batch(STORED[-left:])


def test_the_message_of_an_unreadable_body_has_only_the_ids_and_the_reason() -> None:
    (message,) = build_event_batch([StoredEvent(1, new_event(5, body=b"{"))]).messages
    assert (message.event_id, message.subscription_id, message.entity, message.payload) == (5, 10713, None, {})
    assert message.anomalies == ("unreadable: The body is not JSON.",)
