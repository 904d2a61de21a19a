from __future__ import annotations

import string

import pytest

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.streams import STREAMS, Stream, get_stream


def test_rates_come_last_because_they_are_found_through_other_streams() -> None:
    assert list(STREAMS)[-1] == "rates"


@pytest.mark.parametrize("stream", STREAMS.values(), ids=lambda stream: stream.name)
def test_a_path_is_below_the_base_url_and_needs_nothing_but_workspace_and_organization(stream: Stream) -> None:
    wanted = {name for _, name, _, _ in string.Formatter().parse(stream.path) if name}
    assert set() < wanted <= {"workspace_id", "organization_id"}
    assert stream.path.startswith(("/api/v9/", "/reports/api/v3/"))


@pytest.mark.parametrize("stream", STREAMS.values(), ids=lambda stream: stream.name)
def test_paged_streams_have_a_page_size(stream: Stream) -> None:
    assert (stream.per_page > 0) == (stream.listing in ("paged", "since"))


def test_the_error_for_an_unknown_stream_lists_the_streams() -> None:
    with pytest.raises(ConfigurationError, match=r"no stream 'entries'.*time_entries.*groups"):
        get_stream("entries")
    assert get_stream("tags") is STREAMS["tags"]
