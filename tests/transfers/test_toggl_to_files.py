from __future__ import annotations

import json
import runpy
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import ObjectStoragePath
from airflow.sdk.exceptions import TaskDeferred
from airflow.sdk.execution_time.context import OutletEventAccessors
from support.connections import WEBHOOK_SECRET, Connections, all_logs
from support.repository import ROOT

from airflow_provider_toggl.assets import toggl_files_asset
from airflow_provider_toggl.core import errors
from airflow_provider_toggl.hooks.files import list_files, read_files, remove_unpublished_files
from airflow_provider_toggl.sandbox.server import RunningSandbox
from airflow_provider_toggl.transfers.toggl_to_files import TogglToFilesOperator

pytestmark = pytest.mark.airflow


@pytest.fixture
def folder(sandbox: RunningSandbox, connections: Connections, tmp_path: Path) -> Path:
    """A folder for files; the default connection is set."""
    connections.toggl(sandbox)
    return tmp_path / "files"


def context(**more: Any) -> Any:
    """Return what a task gets: here it needs its run's start only."""
    return {"dag_run": SimpleNamespace(start_date=datetime.now(timezone.utc)), **more}


def build(path: Any, stream: str = "time_entries", **options: Any) -> TogglToFilesOperator:
    return TogglToFilesOperator(task_id="write", path=path, stream=stream, **options)


def live_ids(sandbox: RunningSandbox, stream: str = "time_entries") -> list[int]:
    return sorted(row["id"] for row in sandbox.truth(stream) if not row["deleted_at"])


def test_a_stream_is_written_and_read_back(sandbox: RunningSandbox, folder: Path) -> None:
    with all_logs() as lines:
        summary = build(str(folder)).execute(context())
    assert read_files(folder, "time_entries")["id"].to_pylist() == live_ids(sandbox)
    assert json.loads(json.dumps(summary)) == summary
    assert (summary["written"], summary["files"]) == (120, len(list_files(folder, "time_entries")))
    for secret in (sandbox.token, WEBHOOK_SECRET):
        assert [line for line in [*lines, json.dumps(summary)] if secret in line] == []
    assert remove_unpublished_files(folder, "time_entries") == []


def test_entries_are_in_the_folder_of_the_day_on_which_they_start_for_the_tokens_owner(
    sandbox: RunningSandbox, folder: Path
) -> None:
    build(folder).execute(context())
    query = (
        "select day, strftime(start at time zone 'Europe/Berlin', '%Y-%m-%d') as started, count(*) from read_parquet"
    )
    found = duckdb.sql(f"{query}('{folder}/time_entries/day=*/*.parquet') group by all").fetchall()
    assert len(found) > 5
    assert [row for row in found if str(row[0]) != row[1]] == []


def test_a_line_is_a_record_as_toggl_sent_it(sandbox: RunningSandbox, folder: Path) -> None:
    build(folder, " tags ", format="jsonl").execute(context())
    paths = [Path(url.removeprefix("file://")) for url in list_files(folder, "tags")]
    lines = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    assert sorted(line["id"] for line in lines) == live_ids(sandbox, "tags")
    # A column has another name for it.
    assert all("at" in line for line in lines)
    assert {path.parent.name for path in paths} == {f"day={datetime.now(timezone.utc):%Y-%m-%d}"}


def test_a_used_up_quota_defers_and_no_page_is_read_twice(
    sandbox: RunningSandbox, folder: Path, connections: Connections
) -> None:
    sandbox.set(quota_enforced=True, organization_quota=5, quota_window_seconds=1800)
    run = context()
    with pytest.raises(TaskDeferred) as stopped:
        build(folder, page_size=20).execute(run)
    kwargs = json.loads(json.dumps(stopped.value.kwargs))
    assert (kwargs["summary"]["rows"], kwargs["summary"]["deferrals"]) == (100, 1)
    sandbox.reset_quota()
    connections.set_option("state_dir", str(folder.parent / "another host"))
    summary = build(folder, page_size=20).resume_execution(stopped.value.method_name, kwargs, run)
    assert (summary["written"], summary["requests"], summary["deferrals"]) == (120, 8, 1)
    asked = [(call["body"]["start_date"], call["body"]["first_row_number"]) for call in sandbox.requests()["calls"]]
    assert len(asked) == len(set(asked))
    assert read_files(folder, "time_entries")["id"].to_pylist() == live_ids(sandbox)


def test_the_asset_event_says_what_is_new_and_without_news_there_is_none(sandbox: RunningSandbox, folder: Path) -> None:
    asset = toggl_files_asset(folder, "time_entries")
    assert asset.uri == f"{folder.as_uri()}/time_entries"
    extras: list[Any] = []
    for _ in range(3):
        events = OutletEventAccessors()
        task = build(folder, outlets=[asset])
        task.execute(context(outlet_events=events))
        extras.append(events[asset].extra if task.outlets else None)
        sandbox.advance(3600)
    first, _, last = extras
    assert last is None
    assert (first["rows"], first["after"], first["is_complete"]) == (120, 0, True)
    days = {url.split("day=")[1][:10] for url in list_files(folder, "time_entries")}
    assert set(first["days"]) == days
    new = {"scope": first["scope"], "after": first["after"]}
    assert list_files(folder, "time_entries", **new) == list_files(folder, "time_entries")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"path": "relative/folder"}, "path is 'relative/folder'"),
        ({"path": "ftp://host/folder"}, "path has the scheme 'ftp'"),
        ({"path": "s3://key:secret-word@bucket/folder"}, "path has a password"),
        ({"path": "s3://bucket/folder?token=secret-word"}, "path has a password or a query"),
        ({"path": "s3://"}, "a URL with a bucket"),
        ({"format": "csv"}, "format is 'csv'"),
        ({"stream": "timers"}, "There is no stream 'timers'"),
        ({"stream": "tags", "since": "2026-01-01"}, "since and until are for time_entries"),
    ],
)
def test_arguments_that_cannot_be_are_refused_where_the_dag_is_written(options: dict[str, Any], words: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=words) as caught:
        TogglToFilesOperator(task_id="write", **{"path": "/files", "stream": "tags", **options})
    assert "secret-word" not in str(caught.value)


def test_an_object_storage_path_keeps_its_connection() -> None:
    path = ObjectStoragePath("s3://storage@bucket/folder/")
    assert build(path).path == "s3://storage@bucket/folder"
    assert toggl_files_asset(path, "tags").uri == "s3://bucket/folder/tags"


def test_a_storage_connection_that_does_not_exist_is_named(folder: Path) -> None:
    with pytest.raises(errors.ConfigurationError, match="There is no connection 'nowhere_at_all'"):
        build("s3://bucket/folder", storage_conn_id="nowhere_at_all").execute(context())


def test_a_provider_that_is_missing_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(errors.ConfigurationError, match=r"apache-airflow-providers-microsoft-azure, adlfs"):
        build("abfs://container/folder").execute(context())


def test_a_folder_that_must_not_be_written_is_a_configuration_error(sandbox: RunningSandbox, folder: Path) -> None:
    folder.write_text("a file")
    with pytest.raises(errors.TogglError, match="Could not"):
        build(folder, "tags").execute(context())


def test_a_plan_without_the_stream_skips_the_task(sandbox: RunningSandbox, folder: Path) -> None:
    sandbox.fault("status", status=402, body="Tasks are a premium feature", match={"path": "/tasks$"}, times=None)
    with pytest.raises(AirflowSkipException, match=r"^tasks is not part of the workspace's plan"):
        build(folder, "tasks").execute(context())


# -- the page about files ----------------------------------------------------------------------------------------------


@pytest.fixture
def example(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names of the page's example, whose files are in the folder."""
    monkeypatch.setenv("TOGGL_FILES", str(folder))
    return runpy.run_path(str(ROOT / "docs" / "examples" / "files.py"))


def test_the_example_writes_files_and_reads_them(example: dict[str, Any], folder: Path) -> None:
    assert example["ENTRIES"].uri == f"{folder.as_uri()}/time_entries"
    build(folder).execute(context())
    assert example["hours"].function() > 0
    assert example["clean_up"].function() == []


def test_the_query_of_the_page_finds_the_same_rows_as_the_reader(sandbox: RunningSandbox, folder: Path) -> None:
    build(folder).execute(context())
    sandbox.advance(3600)
    sandbox.mutate(seed=2, n=30)
    build(folder).execute(context())
    with duckdb.connect() as session:
        session.execute(f"set variable path = '{folder}'")
        session.execute("set timezone = 'UTC'")
        first, second = (ROOT / "docs" / "examples" / "files.sql").read_text().split(";")[:2]
        session.execute(first)
        found = session.sql(second).to_arrow_table()
    wanted = read_files(folder, "time_entries")
    assert found.num_rows >= 120
    own = [name for name in wanted.column_names if name not in ("seen_at", "absent_at")]
    assert found.select(own).to_pylist() == wanted.select(own).to_pylist()
