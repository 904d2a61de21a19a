from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.toggl_rows import NOON, WORKSPACE, at, decode, report_row
from support.unusual_values import AT, OBJECTS, USER
from support.webhook_events import TRANSPORT_TIME, entry_payload, received_event, webhook_body

from airflow_provider_toggl.core.errors import DeliveryRefused
from airflow_provider_toggl.core.events.entities import ACTIONS, ENTITIES
from airflow_provider_toggl.core.events.model import NewEvent
from airflow_provider_toggl.core.load.decode.events import decode_events
from airflow_provider_toggl.core.load.decode.records import RejectedRecord
from airflow_provider_toggl.core.load.merging import rule
from airflow_provider_toggl.core.load.tables.schemas import TABLES
from airflow_provider_toggl.core.load.warehouse import Warehouse
from airflow_provider_toggl.core.streams import STREAM_BY_ENTITY

CHANGED = datetime.fromisoformat(AT)
IDS = {"id": 1, "uid": 10, "wid": WORKSPACE}
TIMES = ("observed_at", "seen_at", "deleted_at", "absent_at")


def rows_of(*bodies: bytes) -> list[dict[str, Any]]:
    """Return the rows of bodies of which none is rejected."""
    decoded = decode_events([received_event(raw) for raw in bodies])
    assert [batch.rejected for batch in decoded.batches if batch.rejected] == []
    return [row for batch in decoded.batches for row in batch.table.to_pylist()]


def row_of(raw: bytes) -> dict[str, Any]:
    (row,) = rows_of(raw)
    return row


def rejected(raw: bytes | NewEvent) -> RejectedRecord:
    """Return the only thing that becomes of a body: a rejected record."""
    decoded = decode_events([received_event(raw) if isinstance(raw, bytes) else raw])
    assert (sum(batch.rows for batch in decoded.batches), decoded.skipped) == (0, 0)
    (found,) = [record for batch in decoded.batches for record in batch.rejected]
    return found


# -- the same rows as by pulling ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("entity", STREAM_BY_ENTITY)
def test_an_event_gives_the_row_that_pulling_the_same_object_gives(entity: str) -> None:
    listed = USER if entity == "workspace_user" else OBJECTS[entity]
    (pulled,) = decode(STREAM_BY_ENTITY[entity], listed).table.to_pylist()
    row = row_of(webhook_body(entity, "updated", OBJECTS[entity], seconds=5))
    assert {name: row[name] for name in row if name not in TIMES} == {
        name: pulled[name] for name in pulled if name not in TIMES
    }
    assert (row["observed_at"], row["seen_at"], row["deleted_at"], row["absent_at"]) == (at(5), at(5), None, None)


def test_every_stream_of_events_has_all_columns_of_its_table() -> None:
    bodies = [webhook_body(entity, "created", payload) for entity, payload in OBJECTS.items()]
    batches = decode_events(map(received_event, bodies)).batches
    assert {batch.stream: batch.table.column_names for batch in batches} == {
        stream: [column.name for column in TABLES[stream].columns] for stream in STREAM_BY_ENTITY.values()
    }


def test_a_running_entry_of_a_captured_delivery_has_neither_stop_nor_duration() -> None:
    payload = json.loads(
        '{"at":"2023-07-17T11:43:32+00:00","billable":false,"description":"test","duration":-1689594212,"duronly":true,'
        '"id":3050537739,"project_id":null,"server_deleted_at":null,"start":"2023-07-17T11:43:32Z","stop":null,'
        '"tag_ids":null,"tags":[],"task_id":null,"uid":9000001,"user_id":9000001,"wid":7000001,"workspace_id":7000001}'
    )
    row = row_of(webhook_body(payload=payload, created_at="2023-07-17T11:43:32.827Z"))
    assert (row["id"], row["workspace_id"], row["user_id"]) == (3050537739, 7000001, 9000001)
    assert (row["stop"], row["duration"], row["tag_ids"]) == (None, None, [])
    assert row["updated_at"].isoformat() == "2023-07-17T11:43:32+00:00"
    assert row["observed_at"].isoformat() == row["seen_at"].isoformat() == "2023-07-17T11:43:32.827000+00:00"


def test_legacy_keys_are_enough() -> None:
    kept = {name: value for name, value in entry_payload(9).items() if not name.endswith("_id")}
    row = row_of(webhook_body(payload={**kept, "uid": 3, "wid": 4, "pid": 5, "tid": 6}))
    assert [row[name] for name in ("user_id", "workspace_id", "project_id", "task_id")] == [3, 4, 5, 6]
    assert (
        row_of(webhook_body("project", payload={"id": 1, "wid": 4, "cid": 8, "name": "P", "at": AT}))["client_id"] == 8
    )
    member = row_of(webhook_body("project_user", payload={"id": 1, "wid": 4, "pid": 5, "uid": 3, "at": AT}))
    assert (member["project_id"], member["user_id"]) == (5, 3)


def test_of_two_keys_for_one_field_the_current_one_counts() -> None:
    assert row_of(webhook_body(payload=entry_payload(project_id=20, pid=21)))["project_id"] == 20


def test_amounts_which_webhooks_do_not_have_are_null() -> None:
    row = row_of(webhook_body(payload=entry_payload()))
    assert (row["hourly_rate_cents"], row["billable_amount_cents"], row["currency"]) == (None, None, None)


def test_instants_with_fractions_and_other_offsets_are_the_same_instants() -> None:
    first = entry_payload(1, at="2025-05-02T19:03:50.999999+02:00", start="2025-05-01 10:00:00.5+02")
    row, other = rows_of(webhook_body(payload=first), webhook_body(payload=entry_payload(2), seconds=1))
    assert row["updated_at"] == other["updated_at"] == CHANGED
    assert row["start"].isoformat() == "2025-05-01T08:00:00.500000+00:00"


def test_a_lone_surrogate_is_replaced() -> None:
    raw = webhook_body(payload=entry_payload(description="MARK")).replace(b"MARK", b"a\\ud800b")
    assert row_of(raw)["description"] == "a�b"


def test_what_is_wrong_with_who_did_it_does_not_stop_the_news_of_what_was_done() -> None:
    raw = webhook_body(payload=entry_payload(description="MARK"), creator_id=77)
    assert row_of(raw.replace(b"77", b"1e999").replace(b"MARK", b"\\ud800"))["description"] == "\ufffd"


@pytest.mark.parametrize("raw_text", [b"MARK", b"\\ud800"], ids=["decoded", "parsed"])
def test_who_did_it_is_known_however_an_event_must_be_read(raw_text: bytes) -> None:
    raw = webhook_body(payload=entry_payload(description="MARK")).replace(b"MARK", raw_text)
    (batch,) = decode_events([received_event(raw)]).batches
    assert batch.attribution is not None
    assert batch.attribution.actor_ids.to_pylist() == [10]


def test_odd_durations_are_counted_and_loaded() -> None:
    (batch,) = decode_events([received_event(webhook_body(payload=entry_payload(duration=1)))]).batches
    assert (batch.rows, batch.unexpected_durations) == (1, 1)


# -- when -------------------------------------------------------------------------------------------------------------


def test_an_event_without_its_time_stands_as_of_the_change_and_not_of_a_late_delivery() -> None:
    row = row_of(webhook_body(payload=entry_payload(), seconds=9_999, created_at=None))
    assert row["observed_at"] == row["seen_at"] == row["updated_at"] == CHANGED


def test_users_have_no_time_of_update_since_the_list_that_is_pulled_has_none() -> None:
    row = row_of(webhook_body("workspace_user", "updated", OBJECTS["workspace_user"], seconds=3))
    assert (row["id"], row["updated_at"], row["observed_at"]) == (1, None, at(3))


# -- deletions --------------------------------------------------------------------------------------------------------

SHAPES = {
    "the whole object": entry_payload(1, server_deleted_at="2025-06-01T12:00:03+00:00"),
    "the whole object as it was": entry_payload(1),
    "ids only": IDS,
    "an id only": {"id": 1},
    "null": None,
    "something else": "gone",
    "a field of another type": entry_payload(1, duration="long"),
}


@pytest.mark.parametrize("payload", SHAPES.values(), ids=SHAPES)
def test_a_deletion_needs_an_id_and_a_time(payload: Any) -> None:
    row = row_of(webhook_body("time_entry", "deleted", payload, seconds=3.5))
    assert (row["id"], row["workspace_id"]) == (1, WORKSPACE)
    assert (row["seen_at"], row["deleted_at"]) == (None, at(3.5))


@pytest.mark.parametrize("entity", STREAM_BY_ENTITY)
def test_a_deletion_without_fields_removes_none(entity: str, target: Warehouse) -> None:
    stream = STREAM_BY_ENTITY[entity]
    bare = {**IDS, "uid": 1}
    target.load(decode_events([received_event(webhook_body(entity, "created", OBJECTS[entity], seconds=1))]).batches)
    before = target.query(f"select * exclude (deleted_at) from {stream}").to_pylist()
    target.load(decode_events([received_event(webhook_body(entity, "deleted", bare, seconds=2))]).batches)
    assert target.query(f"select * exclude (deleted_at) from {stream}").to_pylist() == before
    assert target.query(f"select id from {stream} where {rule.is_live()}").num_rows == 0


def test_a_deletion_with_some_fields_removes_none(target: Warehouse) -> None:
    undated = {**OBJECTS["project"], "at": None}
    bodies = [
        webhook_body("project", "created", undated, seconds=1),
        webhook_body("project", "deleted", {"id": 1, "name": "?"}, seconds=2),
    ]
    for raw in bodies:
        target.load(decode_events([received_event(raw)]).batches)
    assert target.query("select name, rate, deleted_at from projects").to_pylist() == [
        {"name": "P", "rate": 12.5, "deleted_at": at(2)}
    ]


def test_a_deletion_within_the_second_of_an_update_is_later_than_it(target: Warehouse) -> None:
    second = "2025-06-01T12:00:03+00:00"
    updated = webhook_body("time_entry", "updated", entry_payload(at=second), seconds=3.2)
    deleted = webhook_body("time_entry", "deleted", entry_payload(at=second, server_deleted_at=second), seconds=3.4)
    target.load(decode_events([received_event(deleted), received_event(updated)]).batches)
    assert target.query("select id from live_time_entries").num_rows == 0


def test_a_deletion_without_its_time_was_when_the_payload_says_or_else_when_it_was_sent() -> None:
    payload = entry_payload(server_deleted_at="2025-06-01T12:00:03+00:00")
    assert row_of(webhook_body("time_entry", "deleted", payload, seconds=9, created_at=None))["deleted_at"] == at(3)
    untold = webhook_body("time_entry", "deleted", None, seconds=9, created_at=None)
    assert row_of(untold)["deleted_at"] == at(9) + TRANSPORT_TIME
    unsent = webhook_body("time_entry", "deleted", None, seconds=9, created_at=None, timestamp=None)
    assert row_of(unsent)["deleted_at"] == NOON + timedelta(hours=1)


def test_an_update_that_was_written_after_the_deletion_contains_it() -> None:
    row = row_of(
        webhook_body("time_entry", "updated", entry_payload(server_deleted_at="2025-06-01T12:00:03+00:00"), seconds=2)
    )
    assert (row["seen_at"], row["deleted_at"]) == (None, at(3))


def test_a_deleted_member_without_the_users_id_cannot_be_loaded() -> None:
    record = rejected(webhook_body("workspace_user", "deleted", {"id": 77}))
    assert (record.stream, record.reason) == ("users", "payload.user_id: missing")


# -- what cannot be loaded --------------------------------------------------------------------------------------------

BROKEN = {
    "an unknown entity": (webhook_body("invoice", payload={"id": 1}), "metadata.model: 'invoice' is not a known"),
    "no entity": (webhook_body(payload=IDS, metadata={"model": None}), "metadata.model: nothing"),
    "no metadata": (webhook_body(payload=IDS, metadata={}).replace(b'"metadata"', b'"meta"'), "metadata.model"),
    "an unknown action": (webhook_body(action="archived", payload=IDS), "metadata.action: 'archived' is no"),
    "no payload": (webhook_body(payload=None), "payload: missing"),
    "a payload that is no object": (webhook_body(payload=[1]), "payload: a list is not an object"),
    "ids only": (webhook_body(payload=IDS), "payload.start: missing"),
    "a field of another type": (
        webhook_body(payload=entry_payload(duration="1")),
        'payload.duration: "1" is not a whole number',
    ),
    "no id": (
        webhook_body(payload={**entry_payload(), "id": None}, metadata={"time_entry_id": None}),
        "payload.id: missing",
    ),
    "no name": (webhook_body("tag", payload={"id": 1, "at": AT}), "payload.name: missing"),
    "no time at all": (
        webhook_body("tag", payload={"id": 1, "name": "T"}, created_at=None),
        "payload.at: missing, and so is created_at",
    ),
    "keys that are there twice": (
        webhook_body(payload=entry_payload()).replace(b'"payload"', b'"payload":{},"payload"'),
        "payload more than once",
    ),
    "no workspace": (
        webhook_body(payload={**entry_payload(), "wid": None, "workspace_id": None}, metadata={"workspace_id": None}),
        "workspace_id: missing",
    ),
}


@pytest.mark.parametrize(("raw", "reason"), BROKEN.values(), ids=BROKEN)
def test_an_event_that_cannot_be_loaded_is_rejected_with_its_body(raw: bytes, reason: str) -> None:
    record = rejected(raw)
    entity = json.loads(raw).get("metadata", {}).get("model")
    assert (record.stream, record.raw) == (STREAM_BY_ENTITY.get(entity, "events"), raw.decode())
    assert record.observed_at == (NOON if b"created_at" in raw else NOON + timedelta(hours=1))
    assert record.reason.startswith(reason)


def test_a_broken_event_takes_no_other_with_it() -> None:
    raw = [BROKEN[name][0] for name in BROKEN] + [webhook_body(payload=entry_payload(5))]
    decoded = decode_events(map(received_event, raw))
    assert sum(batch.rows for batch in decoded.batches) == 1
    assert sum(len(batch.rejected) for batch in decoded.batches) == len(BROKEN)


def test_bytes_that_are_no_json_are_rejected() -> None:
    stored = NewEvent(1, 1, b"\xff{", NOON, "toggl_default", WORKSPACE, "tag", "created", 1, NOON)
    assert rejected(stored).reason.startswith("the body is not JSON")


def test_an_entity_without_a_table_is_skipped_and_counted() -> None:
    decoded = decode_events([received_event(webhook_body("workspace", "created", {"id": 1, "name": "?"}))])
    assert (decoded.batches, decoded.skipped) == ((), 1)


def test_no_events_give_no_batch() -> None:
    assert decode_events([]).batches == ()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = sorted({*entry_payload(), "pid", "tid", "uid", "name", "fullname", "deleted_at", "start_date", "rate"})


@settings(max_examples=60)
@given(
    entity=st.sampled_from([*ENTITIES, "invoice"]),
    action=st.sampled_from([*ACTIONS, "archived"]),
    whole=st.booleans(),
    odd=st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4),
    envelope=st.dictionaries(st.sampled_from(["created_at", "timestamp", "creator_id"]), VALUES, max_size=2),
)
def test_every_event_becomes_a_row_or_a_rejected_record_or_is_counted(
    entity: str, action: str, whole: bool, odd: dict[str, Any], envelope: dict[str, Any]
) -> None:
    payload = {**(OBJECTS.get(entity, {}) if whole else {}), **odd}
    decoded = decode_events([received_event(webhook_body(entity, action, payload, event_id=1, **envelope))])
    kept = sum(batch.rows + len(batch.rejected) for batch in decoded.batches)
    assert kept + decoded.skipped == 1


# What JSON allows and readers of it do not agree on.
ODD_VALUES = [
    b"1e999",
    b"-1e400",
    b"1E5",
    b"0.5",
    b"18446744073709551616",
    b'"\\u0000"',
    b'"\\ud800"',
    b"[]",
    b"{}",
    b"null",
]
VALUE = re.compile(rb':("(?:[^"\\]|\\.)*"|-?[0-9.]+|null|true|false)')


@settings(max_examples=60)
@given(data=st.data())
def test_so_does_every_event_that_a_receiver_takes_whatever_its_values(data: st.DataObject) -> None:
    entity = data.draw(st.sampled_from(sorted(OBJECTS)))
    raw = webhook_body(entity, data.draw(st.sampled_from(ACTIONS)), OBJECTS[entity])
    for _ in range(data.draw(st.integers(1, 3))):
        begin, end = data.draw(st.sampled_from([match.span(1) for match in VALUE.finditer(raw)]))
        raw = raw[:begin] + data.draw(st.sampled_from(ODD_VALUES)) + raw[end:]
    try:
        delivered = received_event(raw)
    except DeliveryRefused:
        return
    decoded = decode_events([delivered])
    assert sum(batch.rows + len(batch.rejected) for batch in decoded.batches) == 1


# -- events and pulled pages together ---------------------------------------------------------------------------------


def test_a_newer_event_removes_the_amount_until_a_report_has_the_new_one(target: Warehouse) -> None:
    old = decode("time_entries", report_row(1, billable_amount_in_cents=100, at=at(0).isoformat()), seconds=10)
    changed = received_event(webhook_body("time_entry", "updated", entry_payload(at=at(20).isoformat()), seconds=20.4))
    new = decode("time_entries", report_row(1, billable_amount_in_cents=250, at=at(20).isoformat()), seconds=60)
    amounts = []
    for batches in ([old], decode_events([changed]).batches, [new], decode_events([changed]).batches):
        target.load(batches)
        amounts.append(target.query("select billable_amount_cents from time_entries")[0].to_pylist())
    assert amounts == [[100], [None], [250], [250]]
