"""The example DAGs, run as a user would run them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from support.airflow_home import AirflowHome
from support.landing import connect
from support.truth import differences, rows

from airflow_provider_toggl.sandbox.server import SandboxProcess

pytestmark = pytest.mark.airflow

DAGS = Path(__file__).parents[2] / "dags"
LARGEST = """
    SELECT project_name FROM toggl.time_entry_facts
    WHERE local_date >= current_date - 30 AND hours IS NOT NULL AND project_name IS NOT NULL
    GROUP BY ALL ORDER BY sum(hours) DESC LIMIT 1
"""


@pytest.fixture
def toggl() -> Iterator[SandboxProcess]:
    with SandboxProcess(["--entries", "1500", "--seed", "5", "--plan", "starter"]) as sandbox:
        yield sandbox


@pytest.fixture
def airflow(tmp_path: Path) -> Iterator[AirflowHome]:
    with AirflowHome(tmp_path / "airflow", dags=DAGS) as home:
        yield home


# Airflow 3.2 warns of its own providers.
@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("metadata_database")
def test_every_example_is_a_dag_that_loads():
    bag = DagBag(DAGS)
    assert bag.import_errors == {}
    assert set(bag.dag_ids) == {
        "toggl_sync_to_duckdb",
        "toggl_hours_report",
        "toggl_subscription",
        "toggl_on_change",
        "toggl_wait_for_project",
        "toggl_weekly_report",
    }


def test_the_sync_lands_the_truth_and_the_report_reads_it(airflow: AirflowHome, toggl: SandboxProcess):
    warehouse = connect(airflow, toggl)
    airflow.cli("dags", "test", "toggl_sync_to_duckdb")
    assert differences(warehouse, toggl.url) == []
    report = airflow.cli("dags", "test", "toggl_hours_report")
    assert "Hours of the last 30 days" in report
    assert rows(warehouse, LARGEST)[0]["project_name"] in report
    assert toggl.token not in report
