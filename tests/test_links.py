from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pendulum
import pytest
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from airflow_provider_toggl.links import TogglPageLink, TogglReportLink, report_link
from airflow_provider_toggl.operators.events import TogglCommitEventsOperator
from airflow_provider_toggl.sensors.events import TogglEventSensor
from airflow_provider_toggl.transfers.events_to_sql import TogglEventsToSqlOperator
from airflow_provider_toggl.transfers.reconcile import TogglReconcileOperator
from airflow_provider_toggl.transfers.toggl_to_sql import TogglToSqlOperator

pytestmark = pytest.mark.airflow

TOKEN = "5f0c9a2e7b1d4836"


@pytest.fixture(autouse=True)
def _connections(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"workspace_id": 42, "webhook_secret": TOKEN}
    given = {"toggl_default": {}, "toggl_sandbox": {"host": "http://127.0.0.1:8765"}, "toggl_bare": {"extra": {}}}
    for conn_id, fields in given.items():
        connection = {"conn_type": "toggl", "password": TOKEN, "extra": extra, **fields}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))


def link_of(operator: Any, link: Any = TogglReportLink) -> str:
    return str(link().get_link(operator, ti_key=None))


def load(**arguments: Any) -> TogglToSqlOperator:
    return TogglToSqlOperator(task_id="load", **{"stream": "time_entries", **arguments})


def test_a_task_leads_to_the_page_of_its_connection_below_airflows_path(monkeypatch: pytest.MonkeyPatch) -> None:
    assert link_of(load(), TogglPageLink) == "/toggl-page/c/toggl_default"
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://example.org/airflow/")
    assert link_of(load(toggl_conn_id="a/b c"), TogglPageLink) == "/airflow/toggl-page/c/a%2Fb%20c"


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({}, "42/period/thisMonth"),
        ({"workspace_id": "7"}, "7/period/thisMonth"),
        (
            {"since": "2026-01-01", "until": date(2026, 1, 31), "incremental": False},
            "42/from/2026-01-01/to/2026-01-31",
        ),
        (
            {"since": "2026-01-01T23:30:00-01:00", "until": "20260202", "incremental": False},
            "42/from/2026-01-02/to/2026-02-02",
        ),
    ],
)
def test_a_task_that_reads_entries_leads_to_their_report(arguments: dict[str, Any], path: str) -> None:
    assert link_of(load(**arguments)) == f"https://track.toggl.com/reports/detailed/{path}"


def test_without_a_last_day_the_report_ends_today_and_never_before_it_begins() -> None:
    today = datetime.now(timezone.utc).date()
    assert report_link(1, date(2026, 1, 1), None).startswith(
        "https://track.toggl.com/reports/detailed/1/from/2026-01-01/to/"
    )
    tomorrow = today + timedelta(days=2)
    assert report_link(1, tomorrow, None).endswith(f"/from/{tomorrow}/to/{tomorrow}")


@pytest.mark.parametrize(
    "operator",
    [
        load(stream="projects"),
        load(toggl_conn_id="toggl_sandbox"),
        load(toggl_conn_id="toggl_bare"),
        load(toggl_conn_id="toggl_missing"),
        load(workspace_id="{{ unrendered }}"),
    ],
    ids=["another stream", "a sandbox", "no workspace", "no connection", "a template that is not rendered"],
)
def test_where_there_is_no_report_there_is_no_link(operator: TogglToSqlOperator) -> None:
    assert link_of(operator) == ""


def test_no_link_has_a_secret() -> None:
    assert all(TOKEN not in link_of(load(), link) for link in (TogglPageLink, TogglReportLink))


def test_the_ui_knows_the_links_of_every_task_also_of_a_mapped_one() -> None:
    with DAG("linked", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC")) as dag:
        load()
        TogglReconcileOperator(task_id="reconcile")
        TogglToSqlOperator.partial(task_id="mapped").expand(stream=["time_entries", "projects"])
        TogglEventsToSqlOperator(task_id="drain")
        TogglEventSensor(task_id="wait", entity="project")
        TogglCommitEventsOperator(task_id="commit", consumer="one", seq=1)
    stored = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
    page, both = ["Toggl connection"], ["Report in Toggl", "Toggl connection"]
    assert {task.task_id: task.extra_links for task in stored.tasks} == {
        "load": both, "reconcile": both, "mapped": both, "drain": page, "wait": page, "commit": page,
    }  # fmt: skip
