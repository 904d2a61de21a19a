from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_toggl.core.instants import parse_instant, rfc3339

offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(timezones=offsets).filter(lambda instant: 1 < instant.year < 9999))
def test_times_in_python_s_format_are_read(instant: datetime) -> None:
    assert parse_instant(instant.isoformat()) == instant
    assert parse_instant(instant.isoformat()).utcoffset() == timedelta(0)


@pytest.mark.parametrize("text", ["2025-05-01T08:00:00.123456Z", "2025-05-01 10:00:00.123456999+0200"])
def test_equivalent_formats_give_the_same_time(text: str) -> None:
    assert parse_instant(text) == datetime(2025, 5, 1, 8, 0, 0, 123456, tzinfo=timezone.utc)


@pytest.mark.parametrize("text", ["2025-05-01T08Z", "2025-05-01T08:00Z", "2025-05-01T08:00:00Z"])
def test_minutes_and_seconds_may_be_missing(text: str) -> None:
    assert parse_instant(text) == datetime(2025, 5, 1, 8, tzinfo=timezone.utc)


@pytest.mark.parametrize("text", ["", "now", "2025-05-01", "2025-05-01T08:00:00", "2025-05-01T08:00:00 Europe/Berlin"])
def test_a_time_without_an_offset_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a date and time with its offset"):
        parse_instant(text)


@pytest.mark.parametrize("text", ["2025-02-29T00:00:00Z", "2025-05-01T24:00:01Z", "0001-01-01T00:00:00+10:00"])
def test_a_time_outside_the_calendar_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no such date and time"):
        parse_instant(text)


@given(st.text())
def test_any_other_text_raises_a_value_error(text: str) -> None:
    with suppress(ValueError):
        parse_instant(text)


def test_times_are_written_in_utc() -> None:
    berlin = timezone(timedelta(hours=1))
    assert rfc3339(datetime(2026, 3, 10, 1, 0, 0, 5, tzinfo=berlin)) == "2026-03-10T00:00:00.000005Z"
    assert rfc3339(None) is None
