"""What a column takes is decided once: the same of a list, a report and an event, alone and beside wrong rows."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import unusual_values
from support.toggl_rows import NOON, WORKSPACE
from support.unusual_values import COMMON, OBJECTS, TIMES, ObjectForms, literals_for, object_with

from airflow_provider_toggl.core.instants import EARLIEST, LATEST
from airflow_provider_toggl.core.load.decode.column_types import COLUMN_TYPES, Unreadable
from airflow_provider_toggl.core.load.decode.event_shapes import EVENT_SHAPES
from airflow_provider_toggl.core.load.decode.events import decode_events
from airflow_provider_toggl.core.load.decode.records import MANY_REJECTED, Observation, RecordBatch, decode_page
from airflow_provider_toggl.core.load.tables.schemas import TABLES
from airflow_provider_toggl.core.streams import STREAM_BY_ENTITY

OBSERVATION = Observation(WORKSPACE, NOON)
# From the envelope of an event, and from the time of a list's response.
NOT_FROM_FIELDS = {"observed_at", "seen_at"}
IN_REPORTS_ALONE = {"hourly_rate_cents", "billable_amount_cents", "currency"}
FIELDS = [
    (entity, key, field.type)
    for entity, shape in EVENT_SHAPES.items()
    for field in shape.payload.fields
    for key in field.keys
]

Decision = dict[str, Any] | str
"""A row, or the reason for which there is none."""


def decide(batches: tuple[RecordBatch, ...]) -> Decision:
    (batch,) = batches
    assert batch.rows + len(batch.rejected) == 1
    if batch.rejected:
        return batch.rejected[0].reason.removeprefix("payload.").removeprefix("time_entries[0].")
    return {name: value for name, value in batch.table.to_pylist()[0].items() if name not in NOT_FROM_FIELDS}


def of_page(stream: str, *rows: bytes) -> RecordBatch:
    return decode_page(stream, b"[" + b",".join(rows) + b"]", OBSERVATION)


def without(decision: Decision, names: set[str]) -> Decision:
    return decision if isinstance(decision, str) else {k: v for k, v in decision.items() if k not in names}


def renamed(reason: Decision, key: str) -> Decision:
    """Return a reason in which a list's own word for a field is that of webhooks."""
    if not isinstance(reason, str):
        return reason
    name, colon, rest = reason.partition(": ")
    words = {**unusual_values.USER_KEYS, **unusual_values.REPORT_KEYS}
    return f"{key}{colon}{rest}" if words.get(key) == name else reason


def literals_of(number: int) -> list[str]:
    """Return the values to try in a field.

    At the first field of each type of an entity, these are all values of the type; what a column takes depends on that
    alone. The other fields share them: each has every fifth one, from another one on, and null.
    """
    entity, _, type_ = FIELDS[number]
    is_first = (entity, type_) not in [(of, other) for of, _, other in FIELDS[:number]]
    return literals_for(type_) if is_first else [*literals_for(type_)[number % 5 :: 5], "null"]


@pytest.mark.parametrize("number", range(len(FIELDS)), ids=[f"{entity}-{key}" for entity, key, _ in FIELDS])
def test_a_list_a_report_and_an_event_decide_the_same_of_every_value_alone_and_beside_others(number: int) -> None:
    entity, key, _ = FIELDS[number]
    different = {"updated_at"} if entity == "workspace_user" else set[str]()
    pages: dict[bytes, RecordBatch] = {}
    reports: dict[bytes, RecordBatch] = {}
    events = []
    for literal in literals_of(number):
        forms = object_with(entity, key, literal)
        page = pages[forms.page] = of_page(forms.stream, forms.page)
        events.append(forms.event)
        if forms.report is not None:
            reports[forms.report] = of_page(forms.stream, forms.report)
        if key == "id" and literal == "null":
            continue  # An event has the id in its metadata too.
        if (entity, key, literal) == ("workspace_user", "name", "null"):
            continue  # A list may have users without a name; an event without one has ids only.
        by_event, by_list = decide(decode_events([forms.event]).batches), decide((page,))
        if key != "at" or not different:
            assert without(by_event, different) == without(renamed(by_list, key), different), literal[:80]
        if forms.report is not None:
            by_report = decide((reports[forms.report],))
            if literal != "null" and (literal not in ('""', '" "') or key != "stop"):
                assert without(renamed(by_report, key), IN_REPORTS_ALONE) == without(by_event, IN_REPORTS_ALONE)
        if isinstance(by_event, str):
            assert by_event.startswith(f"{key}: ")
    good = object_with(entity, "at", json.dumps(unusual_values.AT), id_=2)
    for texts in (pages, reports):
        assert_read_beside_others_as_alone(good, texts)
    (batch,) = decode_events([good.event, *events]).batches
    assert batch.rows + len(batch.rejected) == 1 + len(events)
    assert (batch.table["id"].to_pylist() or [None])[0] is not None


def assert_read_beside_others_as_alone(good: ObjectForms, alone: dict[bytes, RecordBatch]) -> None:
    """Assert that rows are read the same in pages with others, some of them wrong.

    :param alone: what each row was read to alone.
    """
    wrong = b'{"id": "wrong", "name": "x"}'
    # A page with more rejected rows is refused as a whole.
    for begin in range(0, len(alone), MANY_REJECTED - 2):
        texts = list(alone)[begin : begin + MANY_REJECTED - 2]
        read = [alone[text] for text in texts]
        beside = of_page(good.stream, good.page, *texts, wrong, good.page)
        expected = pa.concat_tables([batch.table for batch in read])
        assert beside.table.slice(1, expected.num_rows).equals(expected), texts
        assert beside.rows == expected.num_rows + 2
        reasons = [one.reason for batch in read for one in batch.rejected]
        assert [one.reason for one in beside.rejected[: len(reasons)]] == reasons


@pytest.mark.parametrize("key", ["group_id", "id", "name", "users", "workspaces", "at", "server_deleted_at"])
def test_every_value_in_a_group_is_loaded_or_rejected_and_its_neighbours_are_loaded(key: str) -> None:
    good = {"group_id": 2, "name": "G", "users": [{"user_id": 5}], "workspaces": [7]}
    for literal in COMMON + TIMES:
        odd = unusual_values.put(json.dumps({**good, key: unusual_values.MARK}).encode(), literal)
        batch = of_page("groups", json.dumps(good).encode(), odd)
        assert batch.table.slice(0, 1).to_pylist()[0]["user_ids"] == [5]
        assert batch.rows + len(batch.rejected) == 2
        assert all(one.reason.startswith(f"{key}: ") for one in batch.rejected)


# What some stream requires, and so a row of each.
GOOD = json.dumps(
    {"at": unusual_values.AT, "start": unusual_values.AT, "start_date": "2026-03-09", "iso_code": "EUR"}
    | {"end_date": "2026-03-15"}
    | {"time_entry_constraints_enabled": True, "record": {}}
    | dict.fromkeys(("name", "type", "level", "status", "source_kind"), "x")
    | dict.fromkeys(("id", "group_id", "project_id", "user_id", "member_id", "timesheet_setup_id", "duration"), 1)
).encode()


NESTED = b"[" * 50_000 + b"]" * 50_000
NO_OBJECTS = [b"[]", b"[1]", b"5", b"null", b'"x"', b"true", b"NaN", b"1e999", b'"\\ud800"', NESTED]


@pytest.mark.parametrize("stream", TABLES)
def test_a_row_that_is_no_object_or_nested_without_end_takes_no_other_with_it(stream: str) -> None:
    for wrong in NO_OBJECTS:
        batch = of_page(stream, GOOD, wrong, GOOD)
        assert (batch.rows, len(batch.rejected)) == (2, 1)
        assert "is not an object" in batch.rejected[0].reason or "nested too deep" in batch.rejected[0].reason
    batch = of_page(stream, GOOD, GOOD[:-1] + b', "deep": ' + NESTED + b"}", GOOD)
    assert (batch.rows, [one.reason for one in batch.rejected]) == (2, ["it is nested too deep"])


JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.datetimes().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
INSTANTS = st.tuples(st.datetimes(), st.sampled_from(["Z", "z", "+00:00", "-12:00", "+14:00", "+0530", " Z", ""])).map(
    lambda parts: parts[0].isoformat(sep="T") + parts[1]
)
DATES = st.dates().map(str) | st.from_regex(r"\d{4}-?(\d\d|W\d\d)-?\d{1,2}", fullmatch=True)


@settings(max_examples=30)
@given(place=st.sampled_from(FIELDS), value=JSON_VALUES | INSTANTS | DATES)
def test_any_value_is_decided_the_same_by_a_list_and_by_an_event(place: tuple[str, str, str], value: Any) -> None:
    entity, key, _ = place
    if (key in ("id", "name") and value is None) or (entity == "workspace_user" and key == "at"):
        return
    forms = object_with(entity, key, json.dumps(value))
    by_event, by_list = decide(decode_events([forms.event]).batches), decide((of_page(forms.stream, forms.page),))
    assert without(by_event, {"updated_at"}) == without(renamed(by_list, key), {"updated_at"})
    assert not isinstance(by_event, str) or by_event.startswith(f"{key}: ")


@settings(max_examples=30)
@given(type_=st.sampled_from(sorted(COLUMN_TYPES)), value=JSON_VALUES | INSTANTS | DATES)
def test_what_a_whole_column_is_converted_to_is_what_each_value_is_parsed_to(type_: str, value: Any) -> None:
    import msgspec

    column_type = COLUMN_TYPES[type_]
    try:
        decoded = msgspec.json.decode(json.dumps(value).encode(), type=column_type.field)
        converted = column_type.convert([decoded]).to_pylist()[0]
    except (msgspec.DecodeError, UnicodeDecodeError, pa.ArrowInvalid, Unreadable):
        return
    if value is not None and type_ != "json":
        assert converted == column_type.parse(value)
    elif value is not None:
        assert json.loads(converted) == value


@pytest.mark.parametrize("moment", [EARLIEST, LATEST - timedelta(microseconds=1)])
def test_a_column_of_instants_takes_the_first_and_the_last_one(moment: datetime) -> None:
    assert COLUMN_TYPES["timestamp"].convert([moment.isoformat()]).to_pylist() == [moment]
    beyond = moment + timedelta(microseconds=-1 if moment == EARLIEST else 1)
    with pytest.raises(Unreadable, match="out of range"):
        COLUMN_TYPES["timestamp"].convert([beyond.isoformat()])


def test_every_stream_of_events_is_in_the_corpus() -> None:
    assert OBJECTS.keys() == STREAM_BY_ENTITY.keys()
    assert {field.type for shape in EVENT_SHAPES.values() for field in shape.payload.fields} == {*COLUMN_TYPES} - {
        "members",
        "groups",
    }
