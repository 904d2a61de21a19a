"""One quota, one pace and one warehouse for several hosts, through the CeleryExecutor."""

from __future__ import annotations

import functools
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.fleet import WORKERS, Fleet
from support.truth import differences

from airflow_provider_toggl.sandbox.server import SandboxProcess

pytestmark = [pytest.mark.airflow, pytest.mark.newest, pytest.mark.timeout(900), pytest.mark.xdist_group("fleet")]

MAPPED = ("time_entries", "projects", "clients", "tags", "users", "groups")
RATE = 3.0
QUOTA = 60
RESERVE = 5

KILLS = 20
EXAMPLES = Path(__file__).parents[2] / "dags"
# Asked for in turns, so that each is hit by some of the faults.
TRIGGERED = ("toggl_sync_to_duckdb", "toggl_track_run", "toggl_many_workspaces", "toggl_reconcile")


def test_tasks_on_three_hosts_share_pace_and_quota_and_survive_the_loss_of_a_host(
    start_fleet: Callable[..., Fleet], start_sandbox: Callable[..., SandboxProcess]
) -> None:
    # Behind one address, because there one bucket must hold for all hosts.
    fleet = start_fleet(own_addresses=False)
    toggl = start_sandbox(fleet.network.gateway, "--entries", "800", "--plan", "premium", "--seed", "21")
    toggl.set(bucket_enforced=True, bucket_rate=RATE, organization_quota=QUOTA, largest_page_size=25)
    fleet.connect(
        toggl, requests_per_second=RATE, quota_reserve=RESERVE, organization_id=toggl.health()["organization_id"]
    )
    fleet.start()
    run = fleet.trigger("mapped")
    fleet.wait_until(lambda: report_pages(toggl) >= 5, timeout=120, what="pages of time entries")
    lost = entries_task(fleet, run)["hostname"]
    fleet.kill_worker(lost)
    assert fleet.wait_for_run("mapped", run, timeout=240) == "success"
    assert differences(fleet.data.dsn, toggl.url, streams=MAPPED) == []
    last = entries_task(fleet, run)
    assert last["try_number"] == 2
    assert last["hostname"] != lost
    seen = toggl.requests()
    assert seen["by_status"] == {"200": seen["total"]}
    assert seen["by_lane"]["organization"] <= QUOTA - RESERVE
    # The next host went on at the next page.
    assert report_pages(toggl) <= 800 / 25 + 2


@pytest.mark.soak
@pytest.mark.timeout(2400)
def test_the_examples_reach_the_truth_through_twenty_lost_hosts_and_five_restarts_of_the_database(
    start_fleet: Callable[..., Fleet], start_sandbox: Callable[..., SandboxProcess]
) -> None:
    fleet = start_fleet(dags=EXAMPLES)
    toggl = start_sandbox(fleet.network.gateway, "--entries", "3000", "--plan", "premium", "--seed", "22")
    toggl.set(bucket_enforced=True, bucket_rate=RATE, organization_quota=2 * QUOTA, quota_window_seconds=60)
    toggl.set(largest_page_size=100)
    fleet.connect(
        toggl,
        requests_per_second=RATE,
        quota_reserve=RESERVE,
        webhook_secret="whsec-7a41",
        webhook_callback_url=fleet.url,
    )
    fleet.env |= {
        "AIRFLOW_CONN_DUCKDB_DEFAULT": fleet.env["AIRFLOW_CONN_WAREHOUSE"],
        "AIRFLOW__TOGGL__RECEIVER_CONNECTIONS": "toggl_default",
        "TOGGL_WORKSPACE_ID": str(toggl.workspace_id),
    }
    fleet.start()
    subscribed = fleet.trigger("toggl_subscription")
    assert fleet.wait_for_run("toggl_subscription", subscribed, timeout=120) == "success"
    fleet.wait_until(lambda: fleet.is_parsed("toggl_on_change"), timeout=60, what="the DAG")
    fleet.api("PATCH", "/dags/toggl_on_change", json={"is_paused": False})
    chance = random.Random(20)
    runs: list[tuple[str, str]] = []
    for kill in range(KILLS):
        if len(open_runs(fleet, runs)) < 2:
            dag = TRIGGERED[len(runs) % len(TRIGGERED)]
            runs.append((dag, fleet.trigger(dag)))
        toggl.mutate(seed=kill, n=5, kinds=["create", "retime"])
        busy = fleet.wait_until(functools.partial(busy_workers, fleet, runs), timeout=120, what="a running task")
        worker = chance.choice(busy)
        fleet.kill_worker(worker)
        fleet.start_worker(worker)
        if kill % 4 == 3:
            fleet.data.restart(chance.choice([signal.SIGINT, signal.SIGQUIT]))
        fleet.wait_for_workers(worker, timeout=120)
    for dag, run in runs:
        assert fleet.wait_for_run(dag, run, timeout=600) == "success"
    assert toggl.flush_webhooks(60) == 0
    # The last changes, deletions among them, are found by the comparison.
    toggl.mutate(seed=99, n=10, kinds=["create", "delete_entry"])
    for dag in ("toggl_sync_to_duckdb", "toggl_reconcile"):
        assert fleet.wait_for_run(dag, fleet.trigger(dag), timeout=300) == "success"
    assert differences(fleet.data.dsn, toggl.url) == []
    tracked = [
        row["description"] for row in toggl.truth("time_entries") if "toggl_track_run" in (row["description"] or "")
    ]
    assert sorted(tracked) == sorted(f"{dag} {run}" for dag, run in runs if dag == "toggl_track_run")
    assert set(toggl.requests()["by_status"]) == {"200"}


def open_runs(fleet: Fleet, runs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the runs that have not ended."""
    states = {
        (dag, run["dag_run_id"]): run["state"]
        for dag in {dag for dag, _ in runs}
        for run in fleet.api("GET", f"/dags/{dag}/dagRuns")["dag_runs"]
    }
    return [one for one in runs if states[one] not in ("success", "failed")]


def busy_workers(fleet: Fleet, runs: list[tuple[str, str]]) -> list[str]:
    """Return the workers on which tasks of the runs are running."""
    tasks = [task for dag, run in open_runs(fleet, runs) for task in fleet.task_instances(dag, run)]
    return sorted({task["hostname"] for task in tasks if task["state"] == "running"} & set(WORKERS))


def report_pages(toggl: SandboxProcess) -> int:
    """Return how many pages of time entries were requested."""
    return sum(call["path"].endswith("/search/time_entries") for call in toggl.requests()["calls"])


def entries_task(fleet: Fleet, run: str) -> dict[str, Any]:
    """Return the mapped task that loads time entries."""
    return next(one for one in fleet.task_instances("mapped", run) if one["map_index"] == 0)
