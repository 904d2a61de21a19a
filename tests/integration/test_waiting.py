"""Sensors and a watcher that wait for events, through scheduler, workers and triggerer."""

from __future__ import annotations

import itertools
import json
import random
import time
from pathlib import Path
from typing import Any

import pytest
from support.airflow_home import AirflowHome
from support.webhook_events import EVENT_WORKSPACE, change_event

from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore

# Whole runs of one real Airflow. Each test has numbers of its own for its events.
pytestmark = [pytest.mark.airflow, pytest.mark.timeout(1800), pytest.mark.xdist_group("airflow")]

CHANGES = f"toggl://{EVENT_WORKSPACE}/events/test"


def tasks_of(home: AirflowHome, dag_id: str, run_id: str) -> list[dict[str, Any]]:
    """Return up to 100 task instances; without a limit Airflow gives 50."""
    path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
    return list(home.api("GET", path, params={"limit": 100})["task_instances"])


def states(home: AirflowHome, dag_id: str, run_id: str) -> dict[str, str]:
    return {task["task_id"]: task["state"] for task in tasks_of(home, dag_id, run_id)}


def pulled(home: AirflowHome, dag_id: str, run_id: str, task_id: str) -> Any:
    path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
    return home.api("GET", path, params={"deserialize": "true"})["value"]


def notes(home: AirflowHome) -> list[dict[str, Any]]:
    found = Path(home.env["TEST_NOTES"]).glob("watch.*")
    return [batch for path in found for batch in json.loads(path.read_text() or "[]")]


@pytest.mark.newest
def test_each_way_of_waiting_ends_with_the_same_result(home: AirflowHome, store: SqliteEventStore):
    run = home.trigger("wait_each_way")
    vain = home.trigger("wait_in_vain")

    def all_wait() -> bool:
        found = states(home, "wait_each_way", run)
        return (
            set(found.values()) - {None} <= {"deferred", "running", "up_for_reschedule"}
            and len([state for state in found.values() if state == "deferred"]) == 3
        )

    home.wait_until(all_wait, timeout=120, what="all sensors to wait")
    store.append([change_event(5001, project_id=8), change_event(5002, entity="project")])
    (wanted,) = store.append([change_event(5003, project_id=9)])
    assert home.wait_for_run("wait_each_way", run, timeout=120) == "success"
    assert set(states(home, "wait_each_way", run).values()) == {"success"}
    results = pulled(home, "wait_each_way", run, "pull")
    assert len(results) == 5
    assert {json.dumps(result, sort_keys=True) for result in results.values()} == {
        json.dumps(results["deferred"], sort_keys=True)
    }
    assert (results["deferred"]["seq"], results["deferred"]["event_id"]) == (wanted.seq, "5003")
    # A task that is ended in the triggerer has not gone back to a worker, so it ran on one for a moment only, or never.
    assert home.wait_for_run("wait_in_vain", vain, timeout=60) == "failed"
    assert states(home, "wait_in_vain", vain) == {"fails": "failed", "is_skipped": "skipped"}
    assert {task["try_number"] for task in tasks_of(home, "wait_in_vain", vain)} == {1}


def test_the_error_of_a_wait_in_vain_shows_what_airflow_is_doing(home: AirflowHome, store: SqliteEventStore):
    (stored,) = store.append([change_event(6001, entity="tag")])
    with pytest.raises(TimeoutError) as error:
        home.wait_until(lambda: False, timeout=0, what="nothing")
    shown = str(error.value)
    assert shown.startswith("Waited 0 s for nothing.")
    assert "job_type=TriggererJob" in shown
    assert f"seq={stored.seq}  entity=tag  entity_id=7001" in shown
    for part in ("api-server", "triggerer", "task instances", "triggers:", "consumers:"):
        assert f"--- {part}" in shown


@pytest.mark.newest
def test_a_watcher_starts_runs_for_what_comes_also_while_no_triggerer_was_there(
    home: AirflowHome, store: SqliteEventStore
):
    home.switch_on("watch")
    home.wait_until(lambda: store.find_consumer(CHANGES), timeout=60, what="the watcher")
    store.append([change_event(number, entity="project") for number in range(1, 1001)])

    def batches() -> list[int]:
        events = [event for event in home.asset_events() if event["uri"].startswith(f"{CHANGES}/")]
        return [event["extra"]["payload"]["count"] for event in events]

    home.wait_until(lambda: sum(batches()) >= 1000, timeout=60, what="the asset events")
    home.wait_until(lambda: notes(home), timeout=60, what="the run")
    assert len(batches()) <= 3
    home.stop("triggerer", timeout=0)
    (last,) = store.append([change_event(1001, entity="project")])
    home.start("triggerer")
    home.wait_until(
        lambda: any(batch["last_seq"] == last.seq for batch in notes(home)), timeout=90, what="the last run"
    )


@pytest.mark.newest
@pytest.mark.parametrize(
    ("sensors", "kills"),
    [pytest.param(10, 1, id="few"), pytest.param(100, 10, id="many", marks=pytest.mark.soak)],
)
def test_killed_triggerers_lose_no_event_of_any_sensor(
    home: AirflowHome, store: SqliteEventStore, sensors: int, kills: int
):
    dag_id = f"wait_{sensors}"
    run = home.trigger(dag_id)
    home.wait_until(
        lambda: set(states(home, dag_id, run).values()) == {"deferred"}, timeout=600, what="all sensors to wait"
    )
    chance = random.Random(sensors)
    numbers, first = itertools.count(10_001), {}
    for turn in range(kills):
        for project in range(turn, sensors, kills):
            store.append([change_event(next(numbers), project_id=sensors + 1) for _ in range(chance.randint(0, 3))])
            # Now and then without a triggerer.
            if "triggerer" in home.processes and chance.random() < kills / sensors:
                home.stop("triggerer", timeout=0)
            (stored,) = store.append([change_event(next(numbers), project_id=project + 1)])
            store.append([change_event(next(numbers), project_id=project + 1)])
            first[f"wait_{project}"] = stored.seq
        time.sleep(chance.random() * 2)  # at any moment of what follows on an event
        if "triggerer" in home.processes:
            home.stop("triggerer", timeout=0)
        home.start("triggerer")

        def have_ended() -> bool:
            found = states(home, dag_id, run)
            return all(found[name] == "success" for name in first)

        # The new triggerer has taken over the sensors that still wait, too.
        home.wait_until(have_ended, timeout=120, what="the sensors whose events came")
    assert home.wait_for_run(dag_id, run, timeout=300) == "success"
    tasks = tasks_of(home, dag_id, run)
    assert {task["task_id"]: (task["state"], task["try_number"]) for task in tasks} == dict.fromkeys(
        first, ("success", tasks[0]["try_number"])
    )
    assert {name: pulled(home, dag_id, run, name)["seq"] for name in first} == first
