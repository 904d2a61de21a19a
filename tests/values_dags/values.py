"""A DAG whose arguments are templates, parameters and results of other tasks."""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.sdk import DAG, Param, task

from airflow_provider_toggl.operators.catalog import TogglEnsureProjectOperator
from airflow_provider_toggl.operators.entries import TogglCreateTimeEntryOperator, TogglUpdateTimeEntryOperator
from airflow_provider_toggl.operators.request import TogglRequestOperator
from airflow_provider_toggl.sensors.events import TogglEventSensor
from airflow_provider_toggl.transfers.events_to_sql import TogglEventsToSqlOperator
from airflow_provider_toggl.transfers.reconcile import TogglReconcileOperator
from airflow_provider_toggl.transfers.toggl_to_sql import TogglToSqlOperator

#: Whether templates render to native values; the test changes it.
NATIVE = False

params = {
    "day": Param("2026-01-01", type="string", format="date"),
    "rows": Param(50, type="integer"),
    "seconds": Param(86400, type="integer"),
    "project": Param(7, type=["integer", "string"]),
}
with DAG(
    "values",
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1),
    params=params,
    render_template_as_native_obj=NATIVE,
) as dag:

    @task
    def given() -> dict[str, Any]:
        return {
            "project": 7.0,
            "duration": 60,
            "tag": "given",
            "billable": False,
            "since": pendulum.now("UTC").subtract(days=60),
            "day": pendulum.today("Europe/Berlin").subtract(days=60).date(),
        }

    @task
    def streams() -> list[str]:
        return ["clients", "tags"]

    x = given()
    by_template = TogglToSqlOperator(
        task_id="by_template",
        stream="{{ 'time' ~ '_entries' }}",
        page_size="{{ params.rows }}",
        incremental="{{ 1 == 1 }}",
        since="{{ dag_run.start_date - macros.timedelta(days=90) }}",
        keep_history="{{ none }}",
        workspace_id="{{ none }}",
        facts_timezone="{# the zone #}Europe/Berlin",
        report_lag="{{ macros.timedelta(minutes=5) }}",
        max_partitions="{% if params.rows %}10{% endif %}",
    )
    by_param = TogglToSqlOperator(
        task_id="by_param",
        stream="time_entries",
        since=dag.param("day"),
        until=x["day"],
        incremental=False,
        page_size=dag.param("rows"),
    )
    mapped = TogglToSqlOperator.partial(task_id="mapped").expand(stream=streams())
    zipped = TogglToSqlOperator.partial(task_id="zipped").expand_kwargs(
        streams().zip(streams()).map(lambda pair: {"stream": pair[0], "absent_rows": "{{ params.rows }}"})
    )
    proved = TogglReconcileOperator(
        task_id="proved", since=x["since"], absent_rows="{{ params.rows }}", overlap=dag.param("seconds")
    )
    project = TogglEnsureProjectOperator(
        task_id="project", name="{{ params.rows }}", fields={"billable": x["billable"]}
    )
    entry = TogglCreateTimeEntryOperator(
        task_id="entry",
        start="{{ dag_run.start_date }}",
        duration="{{ macros.timedelta(minutes=30) }}",
        project_id="{{ ti.xcom_pull('project')['id'] }}",
        tags=["a", x["tag"]],
        description="{{ data_interval_start is defined }}",
    )
    changed = TogglUpdateTimeEntryOperator(
        task_id="changed",
        time_entry_id="{{ ti.xcom_pull('entry')['id'] }}",
        changes={"start": "{{ dag_run.start_date }}", "tags": [x["tag"]]},
    )
    asked = TogglRequestOperator(
        task_id="asked",
        endpoint="/api/v9/workspaces/{workspace_id}/projects",
        query={"active": "both", "per_page": dag.param("rows"), "name": "{{ params.rows }}"},
    )
    waited = TogglEventSensor(
        task_id="waited",
        project_id=[x["project"], 8],
        where={"duration": {"gte": x["duration"]}, "billable": "{{ 1 == 1 }}"},
        look_back=dag.param("seconds"),
        entity="{{ ['time_entry', 'project'] }}",
        user_id="{{ params.project }}",
    )
    drained = TogglEventsToSqlOperator(
        task_id="drained", only_conn_id="{{ 'toggl' ~ '_default' }}", max_events="{{ params.rows }}"
    )
    [by_template, mapped] >> by_param >> proved >> project >> entry >> changed >> [asked, waited] >> drained
