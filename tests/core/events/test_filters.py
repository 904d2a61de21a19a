from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.webhook_events import EVENT_WORKSPACE, change_event

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.events.filters import EventFilter
from airflow_provider_toggl.core.events.message import Message
from airflow_provider_toggl.core.events.transitions import TRANSITIONS


def entry(payload: dict[str, Any] | None = None, **fields: Any) -> Message:
    values: dict[str, Any] = {"entity": "time_entry", "action": "updated", "entity_id": 5, "workspace_id": 7}
    return Message(1, 2, **{**values, **fields}, payload=payload or {})


def matches(wanted: dict[str, Any], message: Message) -> bool:
    return EventFilter.from_dict(wanted).matches(message)


def test_an_empty_filter_matches_every_event_and_no_ping():
    assert matches({}, entry())
    assert matches({}, Message(1, 2))
    assert not matches({}, Message(0, 2, is_ping=True))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"entities": "time_entry"}, True),
        ({"entities": ["project", "time_entry"], "actions": ["updated"]}, True),
        ({"entities": ["project"]}, False),
        ({"actions": "deleted"}, False),
        ({"workspace_ids": 7}, True),
        ({"workspace_ids": ["8"]}, False),
    ],
)
def test_entity_action_and_workspace_are_compared(wanted: dict[str, Any], expected: bool):
    assert matches(wanted, entry()) is expected


@pytest.mark.parametrize(
    "payload",
    [{"project_id": 9}, {"pid": 9}, {"project_id": None, "pid": 9}, {"project_id": "9"}],
)
def test_an_id_is_found_under_its_new_and_its_old_key(payload: dict[str, Any]):
    assert matches({"project_ids": [9, 10]}, entry(payload))
    assert not matches({"project_ids": [8]}, entry(payload))


def test_every_kind_of_id_is_found():
    payload = {"uid": 1, "cid": 2, "tag_ids": [3, 4], "project_id": 5}
    assert matches({"user_ids": 1, "client_ids": 2, "tag_ids": 4, "project_ids": 5}, entry(payload))
    assert not matches({"user_ids": 1, "client_ids": 2, "tag_ids": 5, "project_ids": 5}, entry(payload))


def test_an_id_is_found_in_the_metadata_if_the_payload_has_none():
    assert matches({"project_ids": 9}, entry(metadata={"project_id": "9"}))


def test_the_id_of_the_changed_object_matches():
    assert matches({"project_ids": 5}, entry(entity="project"))
    assert not matches({"project_ids": 5}, entry(entity="client"))


@pytest.mark.parametrize(
    ("where", "payload", "expected"),
    [
        ({"billable": True}, {"billable": True}, True),
        ({"billable": True}, {"billable": 1}, False),
        ({"duration": {"gte": 3600}}, {"duration": 3600}, True),
        ({"duration": {"gt": 3600}}, {"duration": 3600}, False),
        ({"start": {"gte": datetime(2026, 1, 1, tzinfo=timezone.utc)}}, {"start": "2026-01-01T00:00:00Z"}, True),
        ({"duration": {"gt": 0, "lt": 10}}, {"duration": 5.5}, True),
        ({"duration": {"lt": 10}}, {"duration": True}, False),
        ({"duration": {"lt": 10}}, {"duration": "5"}, False),
        ({"duration": {"lt": 10}}, {}, False),
        ({"start": {"gte": "2026-01-01T00:00:00Z"}}, {"start": "2026-01-01T01:00:00+01:00"}, True),
        ({"start": {"gt": "2026-01-01T00:00:00Z"}}, {"start": "2026-01-01T01:00:00+01:00"}, False),
        ({"name": {"lte": "m"}}, {"name": "a"}, True),
        ({"stop": {"exists": True}}, {"stop": None}, False),
        ({"stop": {"exists": False}}, {}, True),
        ({"description": {"contains": "cat"}}, {"description": "concatenate"}, True),
        ({"description": {"contains": "cat"}}, {"description": None}, False),
        ({"duration": {"gt": "3599"}}, {"duration": 3600}, True),
        ({"duration": {"gt": "3600.5"}}, {"duration": 3600}, False),
        ({"duration": "3600"}, {"duration": 3600}, True),
        ({"duration": {"ne": "3600"}}, {"duration": 3600}, False),
        ({"project_id": {"in": "7, 8"}}, {"project_id": 8}, True),
        ({"billable": "True"}, {"billable": True}, True),
        ({"billable": "False"}, {"billable": True}, False),
        ({"duration": "long"}, {"duration": 3600}, False),
        ({"tags": {"contains": "x"}}, {"tags": ["x"]}, True),
        ({"tags": {"contains": 1}}, {"tags": "1"}, False),
        ({"color": {"in": ["red", None]}}, {"color": None}, True),
        ({"color": {"ne": "red"}}, {}, True),
        ({"color": {"ne": "red"}}, {"color": "red"}, False),
    ],
)
def test_conditions_on_the_payload(where: dict[str, Any], payload: dict[str, Any], expected: bool):
    assert matches({"where": where}, entry(payload)) is expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"project": 1},
        {"project_ids": "x"},
        {"project_ids": True},
        {"project_ids": ""},
        {"entities": [1]},
        {"actions": [""]},
        {"where": []},
        {"where": {"": 1}},
        {"where": {"a": {"like": 1}}},
        {"where": {"a": {"exists": 2}}},
        {"where": "billable"},
        {"where": {"a": {"gt": None}}},
        {"where": {"a": {"gt": True}}},
        {"where": {"a": [1]}},
        {"where": {"a": float("nan")}},
        {"where": {"a": datetime(2026, 1, 1)}},  # noqa: DTZ001
        {"transitions": "stop"},
        {"transitions": "stopped", "entities": "project"},
        {"transitions": ["deleted", "renamed"], "entities": "project_user"},
        {"transitions": "stopped", "actions": "deleted"},
        {"transitions": "deleted", "actions": ["created"]},
        {"transitions": "stopped", "from_project_ids": 1},
        {"transitions": ["moved", "stopped"], "to_project_ids": 1},
        {"to_project_ids": 1, "entities": "project"},
        {"unknown_previous": "guess"},
    ],
)
def test_a_filter_that_no_event_could_match_is_refused(wrong: dict[str, Any]):
    with pytest.raises(ConfigurationError, match="filter"):
        EventFilter.from_dict(wrong)


def test_a_project_to_move_from_or_to_implies_the_transition_moved():
    assert EventFilter.from_dict({"to_project_ids": 1}) == EventFilter.from_dict(
        {"transitions": "moved", "to_project_ids": ["1"]}
    )
    assert EventFilter.from_dict({"from_project_ids": []}).transitions == ()


@pytest.mark.parametrize(
    ("wanted", "entity", "may"),
    [
        ({"entities": "project", "workspace_ids": EVENT_WORKSPACE}, "project", True),
        ({"actions": "deleted"}, "project", False),
        ({"workspace_ids": 1}, "project", False),
        ({"transitions": ["stopped", "became_billable"]}, "project", True),
        ({"transitions": ["stopped", "became_billable"]}, "tag", False),
        ({"transitions": "deleted"}, "novel", True),
    ],
)
def test_a_stored_event_may_be_skipped_by_its_columns(wanted: dict[str, Any], entity: str, may: bool):
    assert EventFilter.from_dict(wanted).may_match(change_event(1, entity=entity)) is may


PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
ORDERED = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
IDS = st.lists(st.integers(1, 2**62), max_size=3)
WORDS = st.lists(st.sampled_from(["time_entry", "project", "updated", "novel"]), max_size=3)
CONDITION = (
    PLAIN
    | st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte"]), ORDERED, min_size=1)
    | st.fixed_dictionaries(
        {"in": st.lists(PLAIN, max_size=3), "ne": PLAIN, "contains": PLAIN, "exists": st.booleans()}
    )
)
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "entities": WORDS,
        "actions": WORDS,
        "workspace_ids": IDS,
        "project_ids": IDS,
        "user_ids": IDS,
        "client_ids": IDS,
        "tag_ids": IDS,
        "where": st.dictionaries(st.text(min_size=1, max_size=5), CONDITION, max_size=3),
        "unknown_previous": st.sampled_from(["ignore", "match"]),
    },
) | st.fixed_dictionaries(
    {"transitions": st.lists(st.sampled_from(sorted(TRANSITIONS)), max_size=3)},
    optional={"project_ids": IDS, "unknown_previous": st.sampled_from(["ignore", "match"])},
)
JSON = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))
PAYLOAD_KEYS = st.sampled_from(["project_id", "pid", "uid", "tag_ids", "cid", "id", "a"]) | st.text(max_size=5)
PAYLOADS = st.dictionaries(PAYLOAD_KEYS, JSON, max_size=5)


@given(FILTERS)
def test_a_filter_survives_json(wanted: dict[str, Any]):
    built = EventFilter.from_dict(wanted)
    assert EventFilter.from_dict(json.loads(json.dumps(built.to_dict()))) == built
    assert hash(built) == hash(EventFilter.from_dict(built.to_dict()))


@given(FILTERS, PAYLOADS, PAYLOADS)
def test_a_filter_raises_nothing_whatever_the_payload(
    wanted: dict[str, Any], payload: dict[str, Any], metadata: dict[str, Any]
):
    assert EventFilter.from_dict(wanted).matches(entry(payload, metadata=metadata)) in (True, False)
