"""From a change in Toggl to a DAG and a row, through receiver, event store, triggerer and scheduler."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest
import requests
from support.airflow_home import AirflowHome, connect_sandbox
from support.repository import ROOT
from support.truth import rows

EXAMPLES = ("subscription", "on_change", "weekly_report", "wait_for_project", "follow_up")
SECRET = "whsec-0f6b3a7d9c"

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]


@pytest.fixture
def airflow(tmp_path: Path) -> Any:
    with AirflowHome(tmp_path / "airflow") as home:
        for example in EXAMPLES:
            shutil.copy(ROOT / "dags" / f"toggl_{example}.py", home.dags)
        yield home


def test_a_change_starts_a_dag_and_is_a_row_and_ends_a_wait(sandbox, airflow: AirflowHome):
    toggl = sandbox("--entries", "300", "--plan", "free", "--seed", "14")
    warehouse = connect_sandbox(airflow, toggl, webhook_secret=SECRET, webhook_callback_url=airflow.url)
    airflow.env |= {
        "AIRFLOW__TOGGL__RECEIVER_CONNECTIONS": "toggl_default",
        "TOGGL_WORKSPACE_ID": str(toggl.workspace_id),
    }
    project = next(row for row in toggl.truth("projects") if row["active"] and not row["deleted_at"])
    airflow.env["TOGGL_PROJECT_ID"] = str(project["id"])
    airflow.start()

    ensured = airflow.trigger("toggl_subscription")
    assert airflow.wait_for_run("toggl_subscription", ensured, timeout=90) == "success"
    # Made, probed and validated in one go: the receiver was there to answer Toggl's PING.
    assert toggl.webhook_deliveries()["outcomes"] == {"ping_delivered": 1}

    airflow.switch_on("toggl_on_change", "toggl_weekly_report")
    waiting = airflow.trigger("toggl_wait_for_project", {"project_id": project["id"]})
    airflow.wait_until(lambda: _state(airflow, waiting, "wait") == "deferred", timeout=90, what="the wait to begin")

    other = start_and_stop(toggl, None)
    airflow.wait_until(lambda: loaded(warehouse, other), timeout=90, what="the row")
    assert _state(airflow, waiting, "wait") == "deferred"

    wanted = start_and_stop(toggl, project["id"])
    assert airflow.wait_for_run("toggl_wait_for_project", waiting, timeout=90) == "success"
    airflow.wait_until(lambda: loaded(warehouse, wanted), timeout=90, what="the row")
    airflow.wait_until(lambda: drawn(airflow, "2.00"), timeout=90, what="the report of both entries")
    # Only what changed has asset events.
    updated = {
        event["uri"].removeprefix(f"toggl://{toggl.workspace_id}/").split("/")[0] for event in airflow.asset_events()
    }
    assert updated == {"events", "time_entries"}
    found = airflow.api(
        "GET", f"/dags/toggl_wait_for_project/dagRuns/{waiting}/taskInstances/wait/xcomEntries/return_value"
    )
    assert found["value"]["entity_id"] == wanted or str(wanted) in str(found["value"])
    links = airflow.api("GET", f"/dags/toggl_wait_for_project/dagRuns/{waiting}/taskInstances/wait/links")
    assert links["extra_links"] == {"Toggl connection": "/toggl-page/c/toggl_default"}
    assert toggl.requests()["by_status"] == {"200": toggl.requests()["total"]}
    check_follow_ups(airflow, toggl, project["id"])
    assert SECRET not in "".join(airflow.log(component) for component in airflow.processes)


def check_follow_ups(airflow: AirflowHome, toggl: Any, project_id: int) -> None:
    """Check that each stop of an entry of the project, before or after, and nothing else becomes a task in another."""
    toggl.set(tasks_need_paid_plan=False)
    earlier = start(toggl, project_id)
    stop(toggl, earlier)
    edit(toggl, earlier)
    airflow.switch_on("toggl_follow_up")
    airflow.wait_until(lambda: follow_ups(toggl) == [earlier], timeout=90, what="the task for the entry of before")
    running = start(toggl, project_id)
    start_and_stop(toggl, None)
    # Entered afterwards, so never stopped; and an edit of what was stopped.
    start_and_stop(toggl, project_id)
    edit(toggl, earlier)
    stop(toggl, running)
    airflow.wait_until(lambda: follow_ups(toggl) == [earlier, running], timeout=90, what="the task for the entry")
    projects = [row["id"] for row in toggl.truth("projects") if row["name"] == "Follow-ups"]
    assert len(projects) == 1
    assert {row["project_id"] for row in tasks(toggl)} == set(projects)


def tasks(toggl: Any) -> list[dict[str, Any]]:
    """Return the tasks that the example makes."""
    return [row for row in toggl.truth("tasks") if row["name"].startswith("Look through entry ")]


def follow_ups(toggl: Any) -> list[int]:
    """Return the entries that tasks were made for, in the order of the tasks."""
    return [int(row["name"].removeprefix("Look through entry ")) for row in tasks(toggl)]


def start(toggl: Any, project_id: int) -> int:
    """Start a timer; return the id of the entry."""
    entry = {"created_with": "test", "workspace_id": toggl.workspace_id, "project_id": project_id, "duration": -1}
    return int(call(toggl, "POST", "time_entries", {**entry, "start": "2026-11-20T10:00:00Z"})["id"])


def stop(toggl: Any, entry_id: int) -> None:
    """Stop a timer."""
    call(toggl, "PATCH", f"time_entries/{entry_id}/stop")


def edit(toggl: Any, entry_id: int) -> None:
    """Change the description of an entry."""
    call(toggl, "PUT", f"time_entries/{entry_id}", {"description": "edited"})


def call(toggl: Any, method: str, name: str, body: Any = None) -> Any:
    """Write to Toggl as somebody else would."""
    url = f"{toggl.url}/api/v9/workspaces/{toggl.workspace_id}/{name}"
    headers = {"Content-Type": "application/json"}
    answer = requests.request(method, url, json=body, auth=(toggl.token, "api_token"), headers=headers, timeout=30)
    answer.raise_for_status()
    return answer.json()


def start_and_stop(toggl: Any, project_id: int | None) -> int:
    """Track an hour; return the id of the entry."""
    entry = {
        "created_with": "test",
        "description": "by webhook",
        "workspace_id": toggl.workspace_id,
        "project_id": project_id,
        "start": "2026-11-20T08:00:00Z",
        "stop": "2026-11-20T09:00:00Z",
        "duration": 3600,
    }
    return int(call(toggl, "POST", "time_entries", entry)["id"])


def drawn(airflow: AirflowHome, hours: str) -> bool:
    """Whether there is a report that has this sum of hours."""
    page = airflow.path / "toggl" / "reports" / "weekly.html"
    return page.exists() and f"<td>{hours}</td>" in page.read_text()


def loaded(warehouse: Path, entry_id: int) -> bool:
    """Whether the entry is a live row; a file that a task is writing, or has not made yet, cannot be asked."""
    try:
        return bool(rows(warehouse, f"SELECT id FROM toggl.live_time_entries WHERE id = {entry_id}"))
    except (duckdb.IOException, duckdb.CatalogException):
        return False


def _state(airflow: AirflowHome, run: str, task: str) -> str | None:
    states = {one["task_id"]: one["state"] for one in airflow.task_instances("toggl_wait_for_project", run)}
    return states.get(task)
