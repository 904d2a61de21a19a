"""Attempts of tasks, through scheduler and workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.airflow_home import AirflowHome, connect_sandbox
from support.truth import entry_differences

pytestmark = [pytest.mark.airflow, pytest.mark.newest, pytest.mark.timeout(900), pytest.mark.xdist_group("airflow")]


def states(airflow: AirflowHome, run: str) -> dict[str, tuple[str, int]]:
    return {one["task_id"]: (one["state"], one["try_number"]) for one in airflow.task_instances("goes_on", run)}


def summary(airflow: AirflowHome, run: str, task_id: str) -> dict[str, Any]:
    path = f"/dags/goes_on/dagRuns/{run}/taskInstances/{task_id}/xcomEntries/return_value"
    return dict(airflow.api("GET", path, params={"deserialize": "true"})["value"])


def test_a_task_that_is_cleared_while_its_run_goes_on_asks_toggl_again(sandbox, running_airflow: AirflowHome):
    airflow = running_airflow
    toggl = sandbox("--entries", "300", "--plan", "enterprise", "--seed", "5")
    warehouse = connect_sandbox(airflow, toggl)
    run = airflow.trigger("goes_on")
    done = {"load": ("success", 1), "tags": ("success", 1)}
    airflow.wait_until(lambda: done.items() <= states(airflow, run).items(), timeout=180, what="both to be loaded")
    toggl.mutate(seed=3, n=4, kinds=["create"])
    body = {"dag_run_id": run, "task_ids": ["load", "tags"], "dry_run": False, "only_failed": False}
    airflow.api("POST", "/dags/goes_on/clearTaskInstances", json=body)
    again = {"load": ("success", 2), "tags": ("success", 2)}
    airflow.wait_until(lambda: again.items() <= states(airflow, run).items(), timeout=180, what="both to be done again")
    assert entry_differences(warehouse, toggl.url) == []
    assert summary(airflow, run, "load")["inserted"] == 4
    assert summary(airflow, run, "tags")["requests"] == 1
    assert states(airflow, run)["go_on"][0] == "running"
    Path(airflow.env["TEST_GO_ON"]).touch()
    assert airflow.wait_for_run("goes_on", run, timeout=120) == "success"
