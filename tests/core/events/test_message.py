from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_toggl.core.errors import DeliveryRefused
from airflow_provider_toggl.core.events.message import MAX_DEPTH, Message, parse_message

# Published deliveries of 2022 and 2023, ids replaced.
DOCUMENTED_PING = (
    b'{"event_id":0,"created_at":"2022-06-25T03:58:10.207820267Z","creator_id":6,"metadata":{"request_type":"POST",'
    b'"event_user_id":6},"payload":"ping","subscription_id":6,"timestamp":"2022-06-25T03:58:10.207820267Z",'
    b'"url_callback":"https://callback-url.com"}'
)
CREATION_PING = (
    b'{"event_id":0,"created_at":"2023-07-17T10:57:40.959597671Z","creator_id":9000001,"metadata":{"request_type":'
    b'"POST","event_user_id":9000001},"payload":"ping","subscription_id":10710,"timestamp":'
    b'"2023-07-17T10:57:40.959597671Z","url_callback":"https://example.org/hook","validation_code":'
    b'"89627dd73f2044f2f73815d665bbce33","validation_code_url":"https://track.toggl.com/webhooks/api/v1/validate/'
    b'7000001/10710/89627dd73f2044f2f73815d665bbce33"}'
)
CREATED = (
    b'{"event_id":8023169274704072,"created_at":"2023-07-17T11:43:32.827Z","creator_id":9000001,"metadata":{"action":'
    b'"created","event_user_id":"9000001","model":"time_entry","model_owner_id":"9000001","path":"/api/v9/workspaces/'
    b'7000001/time_entries","request_body":"{\\"at\\":\\"2023-07-17T11:43:32.445Z\\",\\"billable\\":false,'
    b'\\"description\\":\\"test\\",\\"duration\\":-1689594212,\\"start\\":\\"2023-07-17T11:43:32.445Z\\",\\"tags\\":[],'
    b'\\"workspace_id\\":7000001,\\"created_with\\":\\"TrackExtension/3.0.11\\"}","request_type":"POST",'
    b'"time_entry_id":"3050537739","workspace_id":"7000001"},"payload":{"at":"2023-07-17T11:43:32+00:00","billable":'
    b'false,"description":"test","duration":-1689594212,"duronly":true,"id":3050537739,"project_id":null,'
    b'"server_deleted_at":null,"start":"2023-07-17T11:43:32Z","stop":null,"tag_ids":null,"tags":[],"task_id":null,'
    b'"uid":9000001,"user_id":9000001,"wid":7000001,"workspace_id":7000001},"subscription_id":10713,"timestamp":'
    b'"2023-07-17T11:43:33.170443406Z","url_callback":"https://example.org/hook"}'
)


def body(**fields: Any) -> bytes:
    usual = {
        "event_id": 5,
        "created_at": "2026-03-02T08:00:00Z",
        "metadata": {"action": "updated", "model": "project", "project_id": "7", "workspace_id": "1"},
        "payload": {"id": 7, "workspace_id": 1},
        "subscription_id": 9,
    }
    return json.dumps({**usual, **fields}).encode()


# -- as they come ------------------------------------------------------------------------------------------------------


def test_a_created_entry_as_it_was_captured() -> None:
    message = parse_message(CREATED)
    assert message == Message(
        event_id=8023169274704072,
        subscription_id=10713,
        entity="time_entry",
        action="created",
        entity_id=3050537739,
        workspace_id=7000001,
        created_at=datetime(2023, 7, 17, 11, 43, 32, 827000, tzinfo=timezone.utc),
        metadata=message.metadata,
        payload=json.loads(CREATED)["payload"],
    )
    assert message.oddity is None


@pytest.mark.parametrize(
    ("ping", "subscription", "code"),
    [(DOCUMENTED_PING, 6, None), (CREATION_PING, 10710, "89627dd73f2044f2f73815d665bbce33")],
)
def test_a_ping_as_it_was_captured(ping: bytes, subscription: int, code: str | None) -> None:
    message = parse_message(ping)
    assert (message.is_ping, message.event_id, message.subscription_id) == (True, 0, subscription)
    assert message.validation_code == code
    assert message.oddity is None


@pytest.mark.parametrize("payload", [{"id": 7, "wid": 1, "uid": 2}, None])
def test_a_deletion_may_have_ids_only_or_no_payload_at_all(payload: Any) -> None:
    metadata = {"action": "deleted", "model": "project", "project_id": "7", "workspace_id": "1"}
    message = parse_message(body(metadata=metadata, payload=payload))
    assert (message.action, message.entity_id, message.workspace_id, message.oddity) == ("deleted", 7, 1, None)


@pytest.mark.parametrize("name", ["time_entry_id", "entity_id"])
def test_the_id_is_also_looked_for_in_both_forms_of_the_metadata(name: str) -> None:
    metadata = {"action": "deleted", "model": "time_entry", name: "3050537739"}
    assert parse_message(body(metadata=metadata, payload=None)).entity_id == 3050537739


@pytest.mark.parametrize("event_id", [2**53 + 1, 2**63, 2**70])
def test_large_event_ids_stay_exact(event_id: int) -> None:
    assert parse_message(body(event_id=event_id)).event_id == event_id


# -- odd but kept ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "oddity"),
    [
        ({"event_id": 0}, "event_id is not positive"),
        ({"event_id": -3}, "event_id is not positive"),
        ({"payload": "ping", "event_id": 4}, "a ping with an event_id"),
        ({"payload": [1]}, "payload is not an object"),
        ({"metadata": 5}, "metadata is not an object; no model; no action"),
        ({"metadata": None}, "no metadata; no model; no action"),
        ({"metadata": {"model": "invoice", "action": "paid"}}, "unknown model; unknown action"),
        ({"metadata": {"model": "a b", "action": 5}}, "no model; no action"),
        ({"created_at": "yesterday"}, "no created_at"),
        ({"created_at": None}, "no created_at"),
        ({"payload": {}, "metadata": {"model": "tag", "action": "created"}}, "no id of what changed"),
        ({"payload": {"id": 2**63}, "metadata": {"model": "tag", "action": "created"}}, "no id of what changed"),
        ({"payload": {"id": True}, "metadata": {"model": "tag", "action": "created"}}, "no id of what changed"),
    ],
)
def test_what_is_odd_is_kept_and_told(fields: dict[str, Any], oddity: str) -> None:
    assert parse_message(body(**fields)).oddity == oddity


def test_a_field_that_is_there_twice_is_told_and_the_last_one_counts() -> None:
    twice = body().replace(b'"subscription_id": 9', b'"subscription_id": 8, "subscription_id": 9')
    message = parse_message(twice)
    assert (message.subscription_id, message.oddity) == (9, "subscription_id more than once")


# -- refused -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        CREATED[:-1],
        b"\xff" + CREATED,
        b"\xef\xbb\xbf" + CREATED,
        CREATED.replace(b"false", b"NaN"),
        CREATED.replace(b"false", b"-Infinity"),
        b"[" + CREATED + b"]",
        b"null",
        b'"ping"',
        b"{}",
        b'{"event_id":5}',
        body(event_id="5"),
        body(event_id=5.0),
        body(event_id=True),
        body(event_id=None),
        body(subscription_id="9"),
        b'{"event_id":1e400,"subscription_id":9}',
        b'{"event_id":%s,"subscription_id":9}' % (b"9" * 5000),
        body(payload=None).replace(b"null", b"[" * MAX_DEPTH + b"]" * MAX_DEPTH),
        b'{"a":' * 100_000,
        b"[" * 100_000,
    ],
)
def test_what_is_no_event_is_refused(data: bytes) -> None:
    with pytest.raises(DeliveryRefused) as caught:
        parse_message(data)
    assert (caught.value.outcome, caught.value.status) == ("malformed", 400)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_nesting_is_counted_outside_of_texts_only() -> None:
    text = json.dumps('[{"' * 200)
    assert parse_message(body(payload={"id": 1, "description": text})).entity_id == 1
    inner: Any = 1
    for _ in range(MAX_DEPTH - 2):
        inner = [inner]
    assert parse_message(body(payload={"id": 1, "x": inner})).entity_id == 1


def test_no_message_of_a_refusal_quotes_the_body() -> None:
    with pytest.raises(DeliveryRefused) as caught:
        parse_message(b'{"description": "what they did", }')
    assert "what they did" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ("event_id", "created_at", "creator_id", "metadata", "payload", "subscription_id", "validation_code")


@given(st.binary(max_size=300))
@example(b'{"event_id":0,"subscription_id":1,"payload":"ping","validation_code":"\\ud800"}')
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    try:
        message = parse_message(data)
    except DeliveryRefused:
        return
    assert isinstance(message, Message)


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_any_values_of_the_fields_are_kept_where_the_ids_are_whole_numbers(fields: dict[str, Any]) -> None:
    data = json.dumps({"event_id": 7, "subscription_id": 9, **fields}).encode()
    try:
        message = parse_message(data)
    except DeliveryRefused:
        ids = [fields.get(name, 1) for name in ("event_id", "subscription_id")]
        whole = all(isinstance(value, int) and not isinstance(value, bool) for value in ids)
        assert not whole or b"NaN" in data or b"Infinity" in data
        return
    assert message.event_id == fields.get("event_id", 7)
    assert message.is_ping or message.oddity
    for value in (message.entity_id, message.workspace_id):
        assert value is None or -(2**63) <= value < 2**63


@given(st.data())
def test_a_captured_body_with_changed_bytes_is_a_message_or_refused(data: st.DataObject) -> None:
    changed = bytearray(data.draw(st.sampled_from([CREATED, CREATION_PING])))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(changed) - 1))
        changed[place : place + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=6))
        changed = changed or bytearray(b" ")
    with suppress(DeliveryRefused):
        assert isinstance(parse_message(bytes(changed)), Message)
