from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.toggl_rows import at

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.instants import EARLIEST, LATEST
from airflow_provider_toggl.core.load.tables.zones import (
    find_spans,
    get_zone,
    local_days,
    store_offsets,
)
from airflow_provider_toggl.core.load.warehouse import Warehouse

NAMES = ["UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kathmandu", "Africa/Casablanca", "Pacific/Apia"]
INSTANT = pa.timestamp("us", tz="UTC")


@settings(max_examples=60)
@given(name=st.sampled_from(NAMES), seconds=st.integers(0, 40 * 365 * 86400))
def test_the_spans_say_of_each_moment_what_the_zone_says(name: str, seconds: int) -> None:
    moment = datetime(2000, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)
    (span,) = [span for span in find_spans(name) if span.begin <= moment < span.end]
    assert timedelta(seconds=span.offset_seconds) == moment.astimezone(ZoneInfo(name)).utcoffset()


@pytest.mark.parametrize("name", NAMES)
def test_the_spans_follow_each_other_from_the_beginning_to_the_end(name: str) -> None:
    spans = find_spans(name)
    assert (spans[0].begin, spans[-1].end) == (EARLIEST, LATEST)
    assert [span.end for span in spans[:-1]] == [span.begin for span in spans[1:]]


def test_a_day_begins_where_the_clocks_go_forward_at_midnight() -> None:
    moments = [datetime(2025, 3, 30, 22, tzinfo=timezone.utc) - timedelta(microseconds=n) for n in (0, 1)]
    instants = pa.chunked_array([pa.array([*moments, None, datetime(1999, 1, 1, tzinfo=timezone.utc)], INSTANT)])
    days = local_days(pa.chunked_array([pa.array([7, 7, 7, 8])]), instants, "Europe/Berlin")
    assert days == {(7, date(2025, 3, 31)), (7, date(2025, 3, 30)), (8, date(1999, 1, 1))}
    assert local_days(pa.chunked_array([pa.array([7])]), instants.slice(2, 1), "UTC") == set()


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../etc/passwd", "\0", "Europe"])
def test_there_is_no_zone_of_another_name(name: str) -> None:
    with pytest.raises(ConfigurationError, match="no time zone"):
        get_zone(name)


def test_the_offsets_of_one_zone_are_stored_and_no_others(target: Warehouse) -> None:
    with target.transaction() as session:
        session.run("create table zone_offsets (begin_at timestamptz, end_at timestamptz, offset_seconds bigint)")
        for zone in ("Europe/Berlin", "Asia/Kolkata"):
            store_offsets(session, zone)
        sql = "select offset_seconds from zone_offsets where begin_at <= ? and end_at > ?"
        assert session.run(sql, [at(0), at(0)]) == [(19800,)]
