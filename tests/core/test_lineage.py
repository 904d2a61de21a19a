from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_toggl.core.lineage import DatasetName, build_table_uri, name_stream, parse_uri


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("toggl://7/time_entries", "time_entries"),
        ("toggl://7/events", "events"),
        ("toggl://7/days", "days"),
        ("toggl://7/events/stops/0123456789abcdef", "events"),
    ],
)
def test_an_asset_stands_for_data_of_its_workspace(uri: str, name: str) -> None:
    assert parse_uri(uri) == DatasetName("toggl://7", name)


def test_the_name_of_a_stream_is_that_of_its_asset() -> None:
    assert parse_uri("toggl://7/tags") == name_stream(7, "tags")


@given(st.text(min_size=1), st.text(min_size=1))
def test_every_name_of_a_table_comes_back_from_its_uri(namespace: str, name: str) -> None:
    uri = build_table_uri(DatasetName(namespace, name))
    assert uri.isascii()
    assert urlsplit(uri).username is None
    assert parse_uri(uri) == (namespace, name)
