from __future__ import annotations

import gc
import json
import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from airflow_provider_toggl.assets import sanitize_uri, toggl_asset, toggl_events
from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.lineage import DatasetName, build_table_uri
from airflow_provider_toggl.core.streams import STREAMS
from airflow_provider_toggl.triggers.events import TogglEventTrigger

pytestmark = pytest.mark.airflow


def test_an_asset_has_one_uri():
    assert toggl_asset(4502339761, "time_entries").uri == "toggl://4502339761/time_entries"
    assert toggl_asset("4502339761").uri == "toggl://4502339761/events"


def test_every_stream_has_an_asset():
    for stream in (*STREAMS, "events", "days"):
        assert toggl_asset(7, stream).uri == f"toggl://7/{stream}"


def test_airflow_uses_the_canonical_form_of_a_uri():
    from airflow.sdk import Asset

    assert Asset(uri="TOGGL://007/projects/").uri == "toggl://7/projects"
    assert toggl_asset(7, "projects").uri == Asset("toggl://7/projects").uri


def test_an_asset_may_have_extra():
    assert toggl_asset(7, "tags", extra={"a": 1}).extra == {"a": 1}


@pytest.mark.parametrize(
    "uri",
    [
        "toggl://",
        "toggl://acme/time_entries",
        "toggl://0/time_entries",
        "toggl://7",
        "toggl://7/entries",
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
def test_a_wrong_workspace_is_refused(workspace: object):
    with pytest.raises(ConfigurationError, match="workspace_id is"):
        toggl_asset(workspace, "tags")  # type: ignore[arg-type]


def test_a_filter_has_its_own_asset_and_watcher():
    asset = toggl_events("stops", 7, project_id=9, transition="stopped", after=0)
    (watcher,) = asset.watchers
    assert asset.name == watcher.name == "toggl://7/events/stops"
    assert re.fullmatch(r"toggl://7/events/stops/[0-9a-f]{16}", asset.uri)
    assert isinstance(watcher.trigger, TogglEventTrigger)
    path, kwargs = watcher.trigger.serialize()
    assert path.endswith(".TogglEventTrigger")
    assert json.loads(kwargs["event_filter"]) == {
        "workspace_ids": [7],
        "project_ids": [9],
        "transitions": ["stopped"],
    }
    assert (kwargs["consumer"], kwargs["after"], kwargs["once"]) == ("toggl://7/events/stops", 0, False)


def test_several_dags_may_use_a_name_with_the_same_filter():
    one = toggl_events("shared", 7, project_id=[9, 8], transition="stopped")
    assert one == toggl_events("shared", "7", project_id=["8", 9], transition=["stopped"])


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"project_id": 8},
        {"project_id": 9, "action": "created"},
        {"project_id": 9, "transition": "stopped"},
        {"project_id": 9, "event_store_conn_id": "other"},
        {"project_id": 9, "after": 0},
    ],
)
def test_a_name_with_other_arguments_is_refused_and_would_be_another_asset(other: dict[str, Any]):
    one = toggl_events("named", 7, project_id=9)
    with pytest.raises(ConfigurationError, match=r"'named', 7.* used twice .*Choose another name"):
        toggl_events("named", 7, **other)
    uri = one.uri
    # As in another process, whose parse cannot see the first: the same name, which Airflow lets one asset have.
    del one
    gc.collect()
    twin = toggl_events("named", 7, **other)
    assert twin.uri != uri
    assert twin.name == "toggl://7/events/named"


def test_a_name_belongs_to_its_workspace():
    one, other = toggl_events("of", 7), toggl_events("of", 8)
    assert (one.name, other.name) == ("toggl://7/events/of", "toggl://8/events/of")


def test_the_uri_of_a_filter_is_stable():
    assert toggl_events("stable", 7, project_id=9, transition="stopped").uri.endswith("/events/stable/1fc77b91d23c5ab1")


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("", {}, "name of toggl_events"),
        ("a/b", {}, "name of toggl_events"),
        ("n" * 101, {}, "name of toggl_events"),
        ("x", {"workspace_id": "acme"}, "workspace_id"),
        ("x", {"project_id": "{{ params.project }}"}, "project_ids of a filter"),
        ("x", {"transition": "stop"}, "it must be one of started, stopped"),
        ("x", {"transition": "stopped", "entity": "tag"}, "cannot have the transition stopped"),
        ("x", {"transition": "logged", "action": "updated"}, "only created can"),
        ("x", {"transition": "stopped", "to_project_id": 9}, "has the transition moved"),
        ("x", {"unknown_previous": "guess"}, "one of ignore, match"),
        ("x", {"since": "yesterday"}, "since"),
        ("x", {"max_events": 0}, "max_events"),
    ],
)
def test_wrong_arguments_are_refused_when_the_dag_is_parsed(name: str, arguments: dict[str, Any], message: str):
    with pytest.raises(ConfigurationError, match=message):
        toggl_events(name, **{"workspace_id": 7, **arguments})


def test_the_shared_asset_takes_no_watchers():
    watchers = toggl_events("watcher", 7).watchers
    for stream in ("events", "days", "time_entries"):
        with pytest.raises(ConfigurationError, match=r"toggl_events\("):
            toggl_asset(7, stream, watchers=watchers)


@pytest.mark.parametrize(
    "uri", ["toggl://7/events/stops", "toggl://7/events/stops/xyz", "toggl://7/events/a b/0123456789abcdef"]
)
def test_an_asset_of_a_filter_must_be_referred_to_by_name(uri: str):
    from airflow.sdk import Asset

    with pytest.raises(ValueError, match=r"Asset\.ref\(name="):
        Asset(uri)


@pytest.mark.parametrize(
    ("uri", "dataset"),
    [
        ("toggl://7/time_entries", ("toggl://7", "time_entries")),
        ("toggl://007/days/", ("toggl://7", "days")),
        (build_table_uri(DatasetName("mysql://db:3306", "toggl.tags")), ("mysql://db:3306", "toggl.tags")),
    ],
)
def test_airflow_finds_the_data_set_that_an_asset_stands_for(uri: str, dataset: tuple[str, str]):
    pytest.importorskip("airflow.providers.openlineage")  # in the environment of the newest Airflow only
    from airflow.providers.openlineage.utils.utils import translate_airflow_asset
    from airflow.sdk import Asset

    found = translate_airflow_asset(Asset(uri), None)
    assert (found.namespace, found.name) == dataset
