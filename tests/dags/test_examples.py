"""The example DAGs, run as a user runs them, in this process: starting Airflow takes longer than most runs."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.providers.common.compat.sdk import AirflowException
from support.connections import Connections, all_logs
from support.truth import differences, rows

from airflow_provider_toggl.sandbox.server import RunningSandbox, start_sandbox
from airflow_provider_toggl.sandbox.settings import Settings

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.filterwarnings("default"),  # Airflow warns about its own providers
    pytest.mark.usefixtures("metadata_database"),
]

Run = Callable[..., list[str]]

DAGS = Path(__file__).parents[2] / "dags"
LARGEST = """
    SELECT project_name FROM toggl.time_entry_facts
    WHERE local_date >= current_date - 30 AND hours IS NOT NULL AND project_name IS NOT NULL
    GROUP BY ALL ORDER BY sum(hours) DESC LIMIT 1
"""


@pytest.fixture
def toggl() -> Iterator[RunningSandbox]:
    with start_sandbox(entries=1500, seed=5, settings=Settings(plan="starter")) as sandbox:
        yield sandbox


@pytest.fixture
def warehouse(connections: Connections, toggl: RunningSandbox) -> Path:
    """The DuckDB file of the DAGs, not made yet."""
    connections.toggl(toggl)
    return connections.duckdb()


@pytest.fixture
def run(dag_file: Callable[[str, str], Any]) -> Run:
    """Run an example to its end and return what it logged."""

    def run(dag_id: str, conf: dict[str, Any] | None = None) -> list[str]:
        dag = dag_file(dag_id, (DAGS / f"{dag_id}.py").read_text())
        with all_logs() as lines:
            assert dag.test(run_conf=conf).state == "success"
        return lines

    return run


def test_every_example_loads_and_its_tasks_and_assets_have_one_workspace(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TOGGL_WORKSPACE_ID", "7000001")
    bag = DagBag(DAGS)
    assert bag.import_errors == {}
    assert set(bag.dag_ids) == {path.stem for path in DAGS.glob("*.py")}
    for dag_id in ("toggl_sync_to_duckdb", "toggl_reconcile"):
        for task in bag.dags[dag_id].tasks:
            assert task.workspace_id == "7000001"
            assert all(outlet.uri.startswith("toggl://7000001/") for outlet in task.outlets)


def test_without_the_variable_an_example_has_an_import_error_or_no_assets(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("TOGGL_WORKSPACE_ID", raising=False)
    bag = DagBag(DAGS)
    assert {Path(path).stem for path in bag.import_errors} == {
        "toggl_budget_alert",
        "toggl_on_change",
        "toggl_weekly_report",
    }
    assert all("TOGGL_WORKSPACE_ID" in error for error in bag.import_errors.values())
    for dag_id in ("toggl_sync_to_duckdb", "toggl_reconcile"):
        tasks = bag.dags[dag_id].tasks
        assert [(task.workspace_id, list(task.outlets)) for task in tasks] == [(None, [])] * len(tasks)


# On 3.2, a run in this process takes a minute.
@pytest.mark.newest
def test_the_sync_loads_what_toggl_has_and_the_report_reads_it(warehouse: Path, toggl: RunningSandbox, run: Run):
    run("toggl_sync_to_duckdb")
    assert differences(warehouse, toggl.url) == []
    toggl.mutate(seed=5, n=12, kinds=["delete_entry", "delete_tag", "late_edit"])
    assert any(re.search(r"1,4\d\d entries, .*\d+ deleted", line) for line in run("toggl_reconcile"))
    assert differences(warehouse, toggl.url) == []
    logged = run("toggl_hours_report")
    (report,) = [line for line in logged if "Hours of the last 30 days:" in line]
    assert rows(warehouse, LARGEST)[0]["project_name"] in report
    assert not any(toggl.token in line for line in logged)
    run("toggl_checks")
    with duckdb.connect(str(warehouse)) as damaged:
        damaged.execute("UPDATE toggl.time_entries SET project_id = 1 WHERE project_id IS NOT NULL")
    check = DagBag(DAGS / "toggl_checks.py").dags["toggl_checks"].get_task("entries")
    with pytest.raises(AirflowException) as failure:
        check.execute({})
    assert "Check: each_project_is_loaded" in str(failure.value).split("The following tests have failed:")[-1]


@pytest.mark.newest
@pytest.mark.usefixtures("warehouse")
def test_a_run_is_tracked_as_one_entry(toggl: RunningSandbox, run: Run):
    toggl.fault("hang_up", match={"method": "POST", "path": "time_entries$"})
    run("toggl_track_run")
    (entry,) = [row for row in toggl.truth("time_entries") if (row["description"] or "").startswith("toggl_track_run")]
    names = {row["id"]: row["name"] for row in toggl.truth("tags")}
    assert {names[tag_id] for tag_id in entry["tag_ids"]} == {"airflow", "done"}
    assert entry["stop"] is not None


@pytest.mark.newest
def test_workspaces_of_several_tokens_are_loaded_by_mapped_tasks(
    warehouse: Path, connections: Connections, toggl: RunningSandbox, run: Run
):
    with start_sandbox(entries=400, seed=6, token="c0ffee" * 5 + "00") as other:
        connections.toggl(other, "toggl_other", workspace_id=None)
        # The sandboxes' ids are the same, so each has its schema.
        given = [
            {"workspace_id": toggl.workspace_id},
            {"toggl_conn_id": "toggl_other", "workspace_id": other.workspace_id, "schema": "other"},
        ]
        run("toggl_many_workspaces", {"workspaces": given})
        assert differences(warehouse, toggl.url, streams=("time_entries", "projects", "clients")) == []
        live = [row for row in other.truth("time_entries") if not row["deleted_at"]]
        found = rows(warehouse, 'SELECT count(*) AS n, bit_xor(id) AS ids FROM "other".time_entries')
    assert found == [{"n": 400, "ids": functools.reduce(operator.xor, (row["id"] for row in live))}]
