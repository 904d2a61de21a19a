"""Every way to wait for an event, many that wait, and a DAG that runs whenever something changes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task
from noting import note

from airflow_provider_toggl.assets import toggl_events
from airflow_provider_toggl.sensors.events import TogglEventSensor

WORKSPACE = 4502339761

WAYS: dict[str, dict[str, Any]] = {
    "deferred": {},
    "ended_on_a_worker": {"end_from_trigger": False},
    "in_the_triggerer": {"start_from_trigger": True},
    "poked": {"deferrable": False, "poke_interval": 0.5},
    "rescheduled": {"deferrable": False, "poke_interval": 2, "mode": "reschedule"},
}

# Airflow fails a task that resumes before its scheduler has recorded the deferral; a retry finds the same event.
with DAG(
    dag_id="wait_each_way",
    schedule=None,
    params={"project_id": 9},
    default_args={"retries": 2, "retry_delay": timedelta(seconds=1)},
) as wait_each_way:

    @task(trigger_rule="all_done")
    def pull(ti: Any = None) -> dict[str, Any]:
        """Return what is pulled of each sensor."""
        return {way: ti.xcom_pull(task_ids=way) for way in WAYS}

    sensors = [
        TogglEventSensor(task_id=way, entity="time_entry", project_id="{{ params.project_id }}", timeout=300, **more)
        for way, more in WAYS.items()
    ]
    sensors >> pull()

with DAG(dag_id="wait_in_vain", schedule=None) as wait_in_vain:
    # Long enough for the scheduler to record the deferral: these have no retry to spare.
    TogglEventSensor(task_id="fails", entity="tag", timeout=15, retries=2)
    TogglEventSensor(task_id="is_skipped", entity="tag", timeout=15, soft_fail=True)

for count in (10, 100):
    with DAG(dag_id=f"wait_{count}", schedule=None, max_active_tasks=1000):
        for number in range(count):
            TogglEventSensor(task_id=f"wait_{number}", project_id=number + 1, start_from_trigger=True)

changes = toggl_events("test", WORKSPACE, entity="project")

with DAG(dag_id="watch", schedule=[changes], max_active_runs=1) as watch:
    note()
