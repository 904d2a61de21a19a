from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.event_stores import RECEIVED, new_event

from airflow_provider_toggl.core.errors import EventStoreDamaged
from airflow_provider_toggl.core.events.rows import (
    EVENT_COLUMNS,
    event_from_row,
    event_to_row,
    from_microseconds,
    json_text_from_bytes,
    json_text_to_bytes,
    to_microseconds,
)


def test_a_row_has_a_value_for_each_column() -> None:
    assert len(event_to_row(new_event())) == len(EVENT_COLUMNS)
    assert event_from_row((5, *event_to_row(new_event())[1:])).event == new_event()


@given(st.datetimes(timezones=st.timezones()))
def test_instants_come_back_as_they_were(moment: datetime) -> None:
    try:
        wanted = moment.astimezone(timezone.utc)
    except OverflowError:
        return
    assert from_microseconds(to_microseconds(moment)) == wanted


def test_pendulum_s_instants_are_as_good() -> None:
    # What a run's data interval begins at is one.
    assert to_microseconds(pendulum.instance(RECEIVED)) == to_microseconds(RECEIVED)
    assert to_microseconds(pendulum.datetime(1969, 12, 31, 23, 59, 59, 999_999)) == -1


@given(st.text() | st.text(st.characters(categories=["Cs"])))
def test_any_text_of_json_comes_back_as_it_was(text: str) -> None:
    assert json_text_from_bytes(json_text_to_bytes(text)) == text


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("body", b"other"),
        ("body", None),
        ("body", "text"),
        ("body_crc32", 0),
        ("event_id", "x"),
        ("event_id", None),
        ("subscription_id", ""),
        ("received_at", None),
        ("received_at", 2**62),
        ("created_at", "x"),
    ],
)
def test_a_row_that_cannot_be_what_was_stored_is_reported(column: str, value: Any) -> None:
    row = dict(zip(EVENT_COLUMNS, event_to_row(new_event()), strict=True)) | {column: value}
    with pytest.raises(EventStoreDamaged, match=r"Event 7 is not as it was stored.*delete the row of seq 7"):
        event_from_row((7, *list(row.values())[1:]))


def test_a_time_of_another_zone_is_kept_as_the_same_instant() -> None:
    tokyo = timezone(timedelta(hours=9))
    row = event_to_row(new_event(received_at=RECEIVED.astimezone(tokyo)))
    assert event_from_row((1, *row[1:])).event.received_at == RECEIVED
