"""From a time entry in Toggl to the warning that a project's budget is nearly used up."""

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

pytestmark = [pytest.mark.airflow, pytest.mark.newest, pytest.mark.soak, pytest.mark.timeout(600)]

#: A name that would print a variable if it were taken for a template.
NAME = "Relaunch {{ var.value.secret }}"


@pytest.fixture
def airflow(tmp_path: Path) -> Any:
    with AirflowHome(tmp_path / "airflow") as home:
        for example in ("subscription", "sync_to_duckdb", "on_change", "budget_alert"):
            shutil.copy(ROOT / "dags" / f"toggl_{example}.py", home.dags)
        yield home


def test_a_project_that_passes_80_percent_of_its_budget_is_warned_of_once(sandbox, airflow: AirflowHome):
    toggl = sandbox("--entries", "50", "--plan", "premium", "--seed", "15")
    warehouse = connect_sandbox(airflow, toggl, webhook_secret="whsec-51c07e", webhook_callback_url=airflow.url)
    airflow.env |= {
        "AIRFLOW__TOGGL__RECEIVER_CONNECTIONS": "toggl_default",
        "AIRFLOW_VAR_SECRET": "hunter2",
        "TOGGL_WORKSPACE_ID": str(toggl.workspace_id),
    }
    airflow.start()
    ensured = airflow.trigger("toggl_subscription")
    assert airflow.wait_for_run("toggl_subscription", ensured, timeout=120) == "success"
    project = write(toggl, "POST", "projects", name=NAME, active=True, estimated_hours=10)["id"]
    load_all(airflow)
    airflow.switch_on("toggl_on_change", "toggl_budget_alert")
    track(toggl, project, hours=7)
    airflow.wait_until(lambda: tracked(warehouse, project) == 7, timeout=120, what="seven hours")
    airflow.wait_until(lambda: ended_runs(airflow) > 0, timeout=120, what="a run that finds nothing")
    assert warnings(airflow) == []

    track(toggl, project, hours=1)
    airflow.wait_until(lambda: warnings(airflow), timeout=120, what="the warning")
    before = ended_runs(airflow)
    track(toggl, project, hours=1)
    airflow.wait_until(lambda: ended_runs(airflow) > before + 1, timeout=180, what="a run after the warning")
    assert tracked(warehouse, project) == 9
    (warning,) = warnings(airflow)
    assert f"{NAME}: 80 % of 10 h are used up." in warning
    assert "hunter2" not in warning

    # A new estimate is a new budget.
    write(toggl, "PUT", f"projects/{project}", estimated_hours=11)
    load_all(airflow)
    airflow.wait_until(lambda: len(warnings(airflow)) == 2, timeout=120, what="the warning of the new budget")
    assert any("82 % of 11 h" in line for line in warnings(airflow))


def load_all(airflow: AirflowHome) -> None:
    """Load estimates too, which the subscription of the example does not report."""
    assert (
        airflow.wait_for_run("toggl_sync_to_duckdb", airflow.trigger("toggl_sync_to_duckdb"), timeout=180) == "success"
    )


def write(toggl: Any, method: str, path: str, **body: Any) -> Any:
    url = f"{toggl.url}/api/v9/workspaces/{toggl.workspace_id}/{path}"
    answer = requests.request(method, url, json=body, auth=(toggl.token, "api_token"), timeout=30)
    answer.raise_for_status()
    return answer.json()


def track(toggl: Any, project: int, *, hours: int) -> None:
    """Track one entry."""
    day = f"2026-11-2{hours % 10}"
    entry = {"start": f"{day}T08:00:00Z", "stop": f"{day}T{8 + hours:02d}:00:00Z", "duration": 3600 * hours}
    known = {"created_with": "test", "workspace_id": toggl.workspace_id, "project_id": project}
    write(toggl, "POST", "time_entries", **known, **entry)


def tracked(warehouse: Path, project: int) -> int:
    """Return the loaded hours of a project."""
    query = f"select coalesce(sum(duration), 0) as seconds from toggl.live_time_entries where project_id = {project}"
    try:
        return int(rows(warehouse, query)[0]["seconds"]) // 3600
    except (duckdb.IOException, duckdb.CatalogException):
        return 0  # a task has the file, or has not made it yet


def ended_runs(airflow: AirflowHome) -> int:
    runs = airflow.api("GET", "/dags/toggl_budget_alert/dagRuns")["dag_runs"]
    assert not [run for run in runs if run["state"] == "failed"]
    return len([run for run in runs if run["state"] == "success"])


def warnings(airflow: AirflowHome) -> list[str]:
    """Return the warnings in the logs of tasks."""
    logs = [path for path in (airflow.path / "logs").rglob("attempt=*.log") if "toggl_budget_alert" in str(path)]
    return [line for path in logs for line in path.read_text().splitlines() if "are used up." in line]
