"""The DAG toggl_project_hours against a local Toggl: no account, no scheduler, no network."""

from __future__ import annotations

import pytest

# A mapped task for each project: five show what 25 do.
pytestmark = pytest.mark.toggl_sandbox(projects=5)


# --8<-- [start:three-lines]
def test_every_entry_is_loaded(toggl_dags, toggl_warehouse):
    assert toggl_dags["toggl_project_hours"].test().state == "success"
    assert toggl_warehouse.read_df("select count(*) as entries from time_entry_facts")["entries"][0] == 200
    # --8<-- [end:three-lines]


# --8<-- [start:more]
def test_each_project_with_hours_has_a_task(toggl_dags, toggl_sandbox, toggl_warehouse):
    run = toggl_dags["toggl_project_hours"].test()
    reports = [task for task in run.get_task_instances() if task.task_id == "report"]
    assert len(reports) > 3
    assert {task.state for task in reports} == {"success"}
    assert hours(toggl_warehouse) == pytest.approx(hours_in_toggl(toggl_sandbox))


def hours(warehouse):
    return warehouse.read_df("select sum(hours) as hours from time_entry_facts")["hours"][0]


def hours_in_toggl(sandbox):
    entries = [entry for entry in sandbox.truth("time_entries") if not entry["deleted_at"]]
    return sum(entry["duration"] for entry in entries if entry["duration"] > 0) / 3600
    # --8<-- [end:more]


# --8<-- [start:markers]
@pytest.mark.toggl_sandbox(seed=3, now="2026-03-28T22:30:00+00:00")
def test_a_second_run_after_the_clock_change_finds_edits(toggl_dags, toggl_sandbox, toggl_warehouse):
    toggl_dags["toggl_project_hours"].test()
    toggl_sandbox.advance(6 * 3600)
    toggl_sandbox.mutate(seed=1, n=20, kinds=["retime"])
    toggl_sandbox.advance(600)  # reports may lag behind by five minutes
    toggl_dags["toggl_project_hours"].test()
    assert hours(toggl_warehouse) == pytest.approx(hours_in_toggl(toggl_sandbox))


@pytest.mark.toggl_sandbox(faults=[{"kind": "status", "status": 503, "match": {"path": "search/time_entries$"}}])
def test_a_server_error_is_retried(toggl_dags, toggl_sandbox):
    assert toggl_dags["toggl_project_hours"].test().state == "success"
    assert toggl_sandbox.requests()["by_status"]["503"] == 1
    # --8<-- [end:markers]
