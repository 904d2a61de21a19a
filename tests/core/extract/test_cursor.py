from __future__ import annotations

from datetime import date, datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.extract.cursor import (
    Attempt,
    EntriesCursor,
    ListCursor,
    OpenList,
    OpenWindow,
    dump,
    load,
)
from airflow_provider_toggl.core.extract.windows import CoveredDays

moments = st.datetimes(datetime(2010, 1, 1), datetime(2040, 1, 1), timezones=st.just(timezone.utc))  # noqa: DTZ001
days = st.dates(date(2010, 1, 1), date(2040, 1, 1))
opened = st.builds(
    OpenWindow,
    first=days,
    last=days,
    order=st.sampled_from(["date", "last_update"]),
    until=st.none() | moments,
    mark=st.none() | moments,
    next_row=st.integers(1, 2**31),
    next_id=st.none() | st.integers(0, 2**63 - 1),
    last_key=st.none() | moments,
)
spans = st.lists(st.builds(CoveredDays, first=days, last=days, watermark=moments, read_at=moments), max_size=4).map(
    tuple
)


@given(
    st.builds(EntriesCursor, beginning=st.none() | days, coverage=spans, open=st.none() | opened)
    | st.builds(ListCursor, open=st.none() | st.builds(OpenList, page=st.integers(1, 99), mark=moments))
)
def test_a_cursor_comes_back_as_it_was_kept(cursor):
    assert load(dump(cursor), type(cursor)) == cursor


@pytest.mark.parametrize(
    ("key", "try_number", "is_resumed", "continues"),
    [
        ("a", 3, False, True),
        ("a", 2, False, False),
        ("a", 1, False, False),
        ("a", 2, True, True),
        ("b", 3, False, False),
        ("", 3, True, False),
    ],
)
def test_a_later_try_and_a_try_after_its_deferral_continue_an_attempt(
    key: str, try_number: int, is_resumed: bool, continues: bool
):
    first, later = (datetime(2026, 3, day, tzinfo=timezone.utc) for day in (1, 2))
    kept = Attempt(key and "a", 2, first)
    continued = Attempt(key, try_number, later).continue_from(kept, is_resumed=is_resumed)
    assert continued == Attempt(key, try_number, first if continues else later)


@pytest.mark.parametrize("text", ["{", "[]", '{"coverage": 7}'])
def test_a_cursor_that_cannot_be_read_says_what_to_do(text):
    with pytest.raises(ConfigurationError, match="sync_state"):
        load(text, EntriesCursor)
