"""What OpenLineage gets from a DAG run, by Airflow's own provider for it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.airflow_home import AirflowHome, connect_sandbox

from airflow_provider_toggl.core.load.tables.schemas import TABLES
from airflow_provider_toggl.core.streams import STREAM_BY_ENTITY
from airflow_provider_toggl.sandbox.server import SandboxProcess

pytest.importorskip("airflow.providers.openlineage")  # in the environment of the newest Airflow only

pytestmark = [pytest.mark.airflow, pytest.mark.newest, pytest.mark.timeout(300)]

DAG = Path(__file__).parents[1] / "lineage_dags" / "lineage.py"


@pytest.fixture
def airflow(tmp_path: Path) -> Iterator[AirflowHome]:
    """An Airflow that writes the events of OpenLineage into a file."""
    transport = {"type": "file", "log_file_path": str(tmp_path / "events.json"), "append": True}
    env = {
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
        "AIRFLOW__OPENLINEAGE__NAMESPACE": "test",
        "AIRFLOW__OPENLINEAGE__DISABLED": "False",
    }
    with AirflowHome(tmp_path / "airflow", env=env) as home:
        shutil.copy(DAG, home.dags)
        yield home


def names(event: dict[str, Any], kind: str) -> list[tuple[str, str]]:
    return sorted((dataset["namespace"], dataset["name"]) for dataset in event[kind])


def counts(event: dict[str, Any]) -> dict[str, int]:
    found = {
        output["name"].split(".")[-1]: output["outputFacets"].get("outputStatistics") for output in event["outputs"]
    }
    return {table: facet["rowCount"] for table, facet in found.items() if facet}


def test_a_run_reports_what_each_task_reads_and_writes(
    sandbox: Callable[..., SandboxProcess], airflow: AirflowHome, tmp_path: Path
) -> None:
    toggl = sandbox("--entries", "60", "--seed", "3")
    airflow.env["TEST_WORKSPACE"] = str(toggl.workspace_id)
    warehouse = f"duckdb://{connect_sandbox(airflow, toggl)}"
    airflow.set_connection("toggl_broken", {"conn_type": "toggl"})
    with pytest.raises(RuntimeError, match="has no API token"):
        airflow.cli("dags", "test", "lineage")
    text = (tmp_path / "events.json").read_text()
    events = {(each["job"]["name"], each["eventType"]): each for each in map(json.loads, text.splitlines())}

    workspace, table = f"toggl://{toggl.workspace_id}", "warehouse.time.time_entries"
    for kind in ("START", "COMPLETE"):
        loading = events["lineage.load", kind]
        assert names(loading, "inputs") == [(workspace, "time_entries")]
        # The outlet is an asset of Toggl, which is what the task reads.
        assert names(loading, "outputs") == [(warehouse, table)]
    fields = loading["outputs"][0]["facets"]["schema"]["fields"]
    assert [(field["name"], field["type"]) for field in fields] == [
        (column.name, column.type) for column in TABLES["time_entries"].columns
    ]
    assert counts(loading) == {"time_entries": 60}
    draining = events["lineage.drain", "COMPLETE"]
    assert names(draining, "inputs") == [(workspace, "events")]
    assert (warehouse, table) in names(draining, "outputs")
    assert counts(draining) == dict.fromkeys(STREAM_BY_ENTITY.values(), 0)
    assert {(warehouse, table), (workspace, "tags")} <= set(names(events["lineage.read", "COMPLETE"], "inputs"))
    failing = events["lineage.fail", "FAIL"]
    assert names(failing, "outputs") == [(warehouse, "warehouse.time.tags")]
    assert counts(failing) == {}
    assert toggl.token not in text
