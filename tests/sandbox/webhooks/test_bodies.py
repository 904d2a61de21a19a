from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.deliveries import PUBLISHED_PING, PUBLISHED_SIGNATURE, SECRET, STARTED_ENTRY, VALIDATION_PING
from support.sandboxes import build_still_world, write_subscription

from airflow_provider_toggl.sandbox.webhooks.bodies import (
    build_envelope,
    build_ping,
    encode,
    millis_z,
    nanos_z,
    sign,
    subscription_as_json,
    to_text,
    write_event,
)
from airflow_provider_toggl.sandbox.webhooks.records import WebhookEvent, WebhookSubscription
from airflow_provider_toggl.sandbox.webhooks.registry import WebhookRegistry

WORLD = build_still_world(entries=0)


def subscription(id_: int, url: str, *, validated: bool, code: str = "") -> WebhookSubscription:
    return write_subscription(
        WebhookRegistry(WORLD),
        WORLD,
        id=id_,
        url_callback=url,
        workspace_id=7000001,
        validation_code=code,
        validated_at=WORLD.now() if validated else None,
    )


def captured_event() -> WebhookEvent:
    shown = json.loads(STARTED_ENTRY)
    return WebhookEvent(
        id=shown["event_id"],
        subscription_id=shown["subscription_id"],
        created_at=datetime(2023, 7, 17, 11, 43, 32, 827_000, tzinfo=timezone.utc),
        creator_id=shown["creator_id"],
        entity="time_entry",
        action="created",
        entity_id=shown["payload"]["id"],
        metadata=to_text(shown["metadata"]),
        payload=to_text(shown["payload"]),
    )


def test_the_published_example_is_written_and_signed_as_published() -> None:
    to = subscription(6, "https://callback-url.com", validated=True)
    body = encode(build_ping(to, user_id=6, timestamp="2022-06-25T03:58:10.207820267Z", site=""))
    assert body == PUBLISHED_PING
    assert sign(SECRET, body) == PUBLISHED_SIGNATURE


def test_a_ping_for_validation_is_that_which_was_captured_byte_for_byte() -> None:
    to = subscription(10710, "https://example.org/hook", validated=False, code="89627dd73f2044f2f73815d665bbce33")
    timestamp = "2023-07-17T10:57:40.959597671Z"
    body = encode(build_ping(to, user_id=9000001, timestamp=timestamp, site="https://track.toggl.com"))
    assert body == VALIDATION_PING


def test_an_event_is_that_which_was_captured_byte_for_byte() -> None:
    to = subscription(10713, "https://example.org/hook", validated=True)
    timestamp = "2023-07-17T11:43:33.170443406Z"
    assert write_event(captured_event(), subscription=to, timestamp=timestamp) == STARTED_ENTRY
    assert encode(build_envelope(captured_event(), subscription=to, timestamp=timestamp)) == STARTED_ENTRY


@pytest.mark.parametrize(
    ("text", "escaped", "plain"),
    [
        ("<b>&", rb'"\u003cb\u003e\u0026"', b'"<b>&"'),
        ("a\u2028b\u2029", rb'"a\u2028b\u2029"', rb'"a\u2028b\u2029"'),
        ("Übersicht 新規 ✏️", '"Übersicht 新規 ✏️"'.encode(), '"Übersicht 新規 ✏️"'.encode()),
        ('"\\\n\x1f', rb'"\"\\\n\u001f"', rb'"\"\\\n\u001f"'),
        ("\x7f", b'"\x7f"', b'"\x7f"'),
        ("lone \ud83d here", '"lone \ufffd here"'.encode(), '"lone \ufffd here"'.encode()),
    ],
)
def test_texts_are_escaped_as_go_does_and_html_signs_only_when_switched_on(
    text: str, escaped: bytes, plain: bytes
) -> None:
    assert encode(text) == escaped
    assert encode(text, escape_html=False) == plain


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.none() | st.lists(st.text())))
def test_escaping_keeps_the_document(document: dict[str, object]) -> None:
    body = encode(document)
    assert json.loads(body) == document
    assert not set("<>&\u2028\u2029") & set(body.decode())


@pytest.mark.parametrize(
    ("micros", "nanos", "written"),
    [
        (0, 0, "09:00:00Z"),
        (120_000, 0, "09:00:00.12Z"),
        (959_597, 671, "09:00:00.959597671Z"),
        (1, 20, "09:00:00.00000102Z"),
    ],
)
def test_nanoseconds_lose_their_trailing_zeros(micros: int, nanos: int, written: str) -> None:
    moment = datetime(2026, 3, 10, 9, 0, 0, micros, tzinfo=timezone.utc)
    assert nanos_z(moment, nanos) == f"2026-03-10T{written}"


def test_milliseconds_keep_theirs() -> None:
    assert millis_z(datetime(2026, 3, 10, 9, 0, 0, 500_900, tzinfo=timezone.utc)) == "2026-03-10T09:00:00.500Z"


def test_a_subscription_shows_secret_and_later_times_only_if_set() -> None:
    one = subscription(7, "https://example.org/hook", validated=False)
    shown = subscription_as_json(one, with_secret=False, pending=False)
    assert not {"secret", "updated_at", "deleted_at"} & set(shown)
    one.deleted_at = WORLD.now()
    shown = subscription_as_json(one, with_secret=True, pending=True)
    assert (shown["secret"], shown["deleted_at"], shown["has_pending_events"]) == (
        one.secret,
        "2026-03-10T12:00:00.25Z",
        True,
    )


def test_records_do_not_show_their_secrets() -> None:
    one = subscription(7, "https://example.org/hook", validated=False, code="89627dd73f2044f2")
    assert one.secret not in repr(one)
    assert one.validation_code not in repr(one)
