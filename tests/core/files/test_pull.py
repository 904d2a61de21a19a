from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.files import Died, DyingStorage, build_pull, published_ids, pull_files, wrong_files
from support.pulls import Workspace

from airflow_provider_toggl.core import errors
from airflow_provider_toggl.core.files.encoding import FORMATS, FileFormat
from airflow_provider_toggl.core.files.reading import list_manifests, read_rows, remove_unpublished
from airflow_provider_toggl.core.files.storage import LocalStorage
from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse

SEARCH = {"path": "search/time_entries$"}


@pytest.fixture
def workspace(build: Callable[..., Workspace]) -> Workspace:
    """A workspace of 240 entries in 12 days, without a quota."""
    return build(days=12)


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "files")


def attempt(number: int = 1, key: str = "attempt") -> dict[str, Any]:
    return {"attempt_key": key, "try_number": number}


@pytest.mark.parametrize("file_format", FORMATS)
def test_rows_and_types_are_those_of_the_warehouse(
    workspace: Workspace, storage: LocalStorage, file_format: FileFormat
) -> None:
    # These have columns of every type.
    for stream in ("time_entries", "projects", "groups"):
        workspace.pull(stream)
        pull_files(workspace, storage, stream, file_format=file_format)
        with build_duckdb_warehouse(workspace.path) as target:
            wanted = target.query(f'select * from "{stream}" order by "id"')
        times = ["observed_at", "seen_at"]
        found = read_rows(storage, stream)
        assert found.schema == wanted.schema
        assert found.drop_columns(times).equals(wanted.drop_columns(times)), stream
        assert found.num_rows


def test_later_runs_write_what_changed_and_what_the_lists_lack_is_absent(
    workspace: Workspace, storage: LocalStorage
) -> None:
    # Read by days, by changes, in pages and whole.
    streams = ("time_entries", "projects", "tags", "clients")
    for stream in streams:
        pull_files(workspace, storage, stream)
    workspace.toggl.advance(3600)
    workspace.toggl.mutate(seed=3, n=120)
    for stream in streams:
        pull_files(workspace, storage, stream)
    assert wrong_files(workspace, storage, *streams) == []
    assert list_manifests(storage, "time_entries", after=1)[-1].number > 0


def test_a_run_that_finds_nothing_writes_one_manifest_and_no_file(workspace: Workspace, storage: LocalStorage) -> None:
    for _ in range(2):
        pull_files(workspace, storage)
        workspace.toggl.advance(3600)
    before = list_manifests(storage, "time_entries")[-1]
    summary = pull_files(workspace, storage)
    after = list_manifests(storage, "time_entries", after=before.number)
    assert (len(after), after[0].files, summary.files) == (1, (), 0)
    assert after[0].watermark is not None
    assert before.watermark is not None
    assert after[0].watermark > before.watermark


@pytest.mark.parametrize("error", [Died(), errors.FileStorageError("the disk is full")], ids=["died", "failed"])
@pytest.mark.parametrize(
    ("at", "done", "published"),
    [(("write", 1), True, 0), (("create", 1), False, 0), (("create", 1), True, 1), (("create", 2), False, 1)],
)
def test_a_retry_goes_on_after_the_last_manifest_and_publishes_no_row_twice(
    workspace: Workspace, storage: LocalStorage, *, at: tuple[str, int], done: bool, published: int, error: Any
) -> None:
    options: dict[str, Any] = {"page_size": 50, "run_started": workspace.now()}
    with pytest.raises(type(error)):
        pull_files(workspace, DyingStorage(storage, at, error, done=done), **options, **attempt(1))
    assert len([one for one in list_manifests(storage, "time_entries") if one.rows]) == published
    pull_files(workspace, storage, **options, **attempt(2))
    assert wrong_files(workspace, storage, "time_entries") == []
    ids = published_ids(storage)
    assert (len(ids), len(set(ids))) == (240, 240)


def test_files_of_an_abandoned_attempt_are_published_by_nobody_and_removed_later(
    workspace: Workspace, storage: LocalStorage
) -> None:
    with pytest.raises(Died):
        pull_files(workspace, DyingStorage(storage, ("create", 1), Died()), page_size=50)
    assert list_manifests(storage, "time_entries") == []
    left = storage.list_names("time_entries")
    assert left
    pull_files(workspace, storage, page_size=50)
    assert wrong_files(workspace, storage, "time_entries") == []
    now = workspace.now()
    assert remove_unpublished(storage, "time_entries", now) == []
    removed = remove_unpublished(storage, "time_entries", now + timedelta(days=2))
    assert removed == left
    assert wrong_files(workspace, storage, "time_entries") == []


def test_of_two_attempts_at_once_only_one_publishes_a_page(workspace: Workspace, storage: LocalStorage) -> None:
    class Interrupted(LocalStorage):
        """Another task publishes all entries while this one is about to publish its first page."""

        def create(self, name: str, data: bytes) -> bool:
            if not list_manifests(storage, "time_entries"):
                pull_files(workspace, storage, page_size=50)
            return super().create(name, data)

    with pytest.raises(errors.FilesChanged, match="max_active_tis_per_dag=1"):
        pull_files(workspace, Interrupted(Path(storage.url.removeprefix("file://"))), page_size=50)
    ids = published_ids(storage)
    assert (len(ids), len(set(ids))) == (240, 240)
    assert wrong_files(workspace, storage, "time_entries") == []


def test_a_bad_page_fails_the_run_and_touches_nothing(workspace: Workspace, storage: LocalStorage) -> None:
    pull_files(workspace, storage, page_size=100)
    before = {name: storage.read(name) for name in storage.list_names("time_entries")}
    workspace.toggl.advance(3600)
    workspace.toggl.mutate(seed=1, n=60)
    workspace.toggl.fault(kind="drop_field", field="user_id", match=SEARCH, times=None)
    with pytest.raises(errors.MalformedAnswer):
        pull_files(workspace, storage)
    assert {name: storage.read(name) for name in storage.list_names("time_entries")} == before


def test_rejected_records_are_in_files_of_their_own(
    workspace: Workspace, storage: LocalStorage, caplog: pytest.LogCaptureFixture
) -> None:
    workspace.toggl.fault(kind="set_field", field="name", value=7, match={"path": "/tags$"}, row=0)
    summary = pull_files(workspace, storage, "tags")
    (manifest,) = [one for one in list_manifests(storage, "tags") if one.rejected]
    assert (summary.rejected, [file.rows for file in manifest.rejected]) == (1, [1])
    line = storage.read(manifest.rejected[0].path).decode()
    assert "7 is not a text" in line
    # It is unknown which row the list lacks.
    assert (manifest.complete_at, manifest.has_doubts) == (None, False)
    assert "_rejected" in caplog.text


def test_a_task_reports_what_was_published_since_the_last_report_also_by_others(
    workspace: Workspace, storage: LocalStorage
) -> None:
    with pytest.raises(Died):
        pull_files(workspace, DyingStorage(storage, ("create", 3), Died()), page_size=50, **attempt(1, "lost"))
    published = sum(one.rows for one in list_manifests(storage, "time_entries"))
    assert published == 100
    started = workspace.now()
    run = build_pull(workspace, storage, file_format="parquet", page_size=50, run_started=started, **attempt(1))
    last = run.run().manifest
    rows = sum(one.rows for one in list_manifests(storage, "time_entries"))
    assert (run.unreported.after, run.unreported.rows, run.unreported.has_more_days) == (0, rows, False)
    assert 240 <= rows < 290
    assert len(run.unreported.days) > 10
    # Its retry reports the same, and the next task nothing.
    again = build_pull(workspace, storage, file_format="parquet", page_size=50, run_started=started, **attempt(2))
    assert (again.run().manifest, again.unreported) == (0, run.unreported)
    for name in ("later", "still later"):
        workspace.toggl.advance(3600)
        later = build_pull(workspace, storage, file_format="parquet", **attempt(1, name))
        later.run()
    assert later.unreported.after > last
    assert later.unreported.rows == 0


def test_days_of_a_fixed_range_are_read_again_and_have_manifests_of_their_own(
    workspace: Workspace, storage: LocalStorage
) -> None:
    pull_files(workspace, storage)
    before = list_manifests(storage, "time_entries")
    pull_files(workspace, storage, since="2026-03-01", until="2026-03-05", incremental=False)
    after = list_manifests(storage, "time_entries")
    scopes = {one.scope for one in after}
    assert scopes == {str(workspace.id), f"{workspace.id}/2026-03-01..2026-03-05"}
    assert [one for one in after if one.scope == str(workspace.id)] == before
    assert wrong_files(workspace, storage, "time_entries") == []


def test_the_summary_has_what_is_known_of_files(workspace: Workspace, storage: LocalStorage) -> None:
    summary = pull_files(workspace, storage, page_size=100)
    assert summary.as_dict().keys().isdisjoint({"inserted", "updated", "unchanged", "absent"})
    assert summary.files == sum(len(one.files) for one in list_manifests(storage, "time_entries"))
    assert f"240 written to {summary.files} files" in str(summary)
    assert str(summary).endswith(f"; complete up to {summary.watermark}.")
    assert str(replace(summary, watermark=None)).endswith("; first load not finished.")
