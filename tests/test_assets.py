from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from airflow_provider_toggl.assets import sanitize_uri, toggl_asset
from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.streams import STREAMS

pytestmark = pytest.mark.airflow


def test_an_asset_is_named_by_its_one_uri():
    assert toggl_asset(4502339761, "time_entries").uri == "toggl://4502339761/time_entries"
    assert toggl_asset("4502339761").uri == "toggl://4502339761/events"


@pytest.mark.parametrize("stream", [*STREAMS, "events"])
def test_every_stream_has_an_asset(stream: str):
    assert toggl_asset(7, stream).uri == f"toggl://7/{stream}"


def test_airflow_finds_the_handler_and_brings_a_uri_into_its_one_form():
    from airflow.sdk import Asset

    assert Asset(uri="TOGGL://007/projects/").uri == "toggl://7/projects"
    assert toggl_asset(7, "projects").uri == Asset("toggl://7/projects").uri


def test_an_asset_takes_what_assets_take():
    assert toggl_asset(7, "tags", extra={"a": 1}).extra == {"a": 1}


@pytest.mark.parametrize(
    "uri",
    [
        "toggl://",
        "toggl:///time_entries",
        "toggl://acme/time_entries",
        "toggl://0/time_entries",
        "toggl://7",
        "toggl://7/entries",
        "toggl://7/time_entries/5",
        "toggl://7/time_entries?a=1",
        "toggl://user:pass@7/time_entries",
        "toggl://7:80/time_entries",
        "toggl://\u0667/time_entries",
    ],
)
def test_any_other_uri_is_refused(uri: str):
    with pytest.raises(ValueError, match=r"toggl://|stream"):
        sanitize_uri(urlsplit(uri))


@pytest.mark.parametrize("workspace", [0, -1, "acme", "", 1.5, None])
def test_no_asset_is_made_of_what_is_no_workspace(workspace: object):
    with pytest.raises(ConfigurationError, match="workspace_id is"):
        toggl_asset(workspace, "tags")  # type: ignore[arg-type]
