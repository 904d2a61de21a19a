"""The DAG toggl_project_hours against a local Toggl: no account, no scheduler, no network."""

from __future__ import annotations

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG

from airflow_provider_toggl.hooks.warehouse import read_df
from airflow_provider_toggl.sandbox.server import RunningSandbox

HOURS = "select sum(hours) as hours from time_entry_facts"


@pytest.fixture(scope="module")
def dag() -> DAG:
    """The DAG, from the DAGs folder."""
    bag = DagBag()
    assert bag.import_errors == {}
    return bag.dags["toggl_project_hours"]


def test_the_hours_are_those_in_toggl(dag: DAG, toggl: RunningSandbox) -> None:
    assert dag.test().state == "success"
    entries = [entry for entry in toggl.truth("time_entries") if not entry["deleted_at"]]
    seconds = sum(entry["duration"] for entry in entries if entry["duration"] > 0)
    assert read_df(HOURS)["hours"][0] == pytest.approx(seconds / 3600)


def test_each_project_with_hours_has_a_task(dag: DAG, toggl: RunningSandbox) -> None:
    run = dag.test()
    reports = [task for task in run.get_task_instances() if task.task_id == "report"]
    assert len(reports) > 3
    assert {task.state for task in reports} == {"success"}


def test_a_second_run_finds_an_edit(dag: DAG, toggl: RunningSandbox) -> None:
    dag.test()
    before = read_df(HOURS)["hours"][0]
    toggl.mutate(seed=1, n=20, kinds=["retime"])
    toggl.advance(600)  # reports may lag behind by five minutes
    dag.test()
    assert read_df(HOURS)["hours"][0] != before


def test_a_server_error_is_retried(dag: DAG, toggl: RunningSandbox) -> None:
    toggl.fault("status", status=503, match={"path": "search/time_entries$"}, times=2)
    assert dag.test().state == "success"
    assert toggl.requests()["by_status"]["503"] == 2
