"""A workspace in the warehouse, through scheduler, workers and triggerer."""

from __future__ import annotations

import functools
import os
import random
import signal
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from support.airflow_home import AirflowHome, connect_sandbox
from support.truth import differences, entry_differences, rows

from airflow_provider_toggl.report.weeks import monday_of

# Whole runs of a real Airflow, on machines that may do other things meanwhile.
pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900), pytest.mark.xdist_group("airflow")]

SPENT = "SELECT requests_spent FROM toggl.sync_state WHERE stream = 'time_entries'"


def report_calls(toggl: Any) -> list[dict[str, Any]]:
    """Return the bodies of all requests for time entries that were answered well, in order."""
    calls = toggl.requests()["calls"]
    return [call["body"] for call in calls if call["path"].endswith("/search/time_entries") and call["status"] == 200]


@pytest.mark.newest
def test_a_free_plans_quota_is_waited_for_without_a_worker_and_never_overdrawn(sandbox, running_airflow: AirflowHome):
    airflow = running_airflow
    toggl = sandbox("--entries", "6000", "--plan", "free", "--seed", "11")
    toggl.set(quota_window_seconds=10, largest_page_size=200)
    warehouse = connect_sandbox(airflow, toggl)
    run = airflow.trigger("load_all")
    waits = 0

    def ended() -> str:
        nonlocal waits
        states = {task["state"] for task in airflow.task_instances("load_all", run)}
        pool = airflow.api("GET", "/pools/default_pool")
        # Nothing runs while everything that is left waits for the quota.
        if states <= {"deferred", "success"} and "deferred" in states and not pool["running_slots"]:
            waits += 1
        state = str(airflow.api("GET", f"/dags/load_all/dagRuns/{run}")["state"])
        return state if state in ("success", "failed") else ""

    assert airflow.wait_until(ended, timeout=600, what="the run to end") == "success"
    assert differences(warehouse, toggl.url) == []
    assert waits > 0
    assert toggl.requests()["by_status"].get("402", 0) == 0
    # What the trigger says is in the task's own log, where people look.
    logs = [path for path in (airflow.path / "logs").rglob("attempt=1.log*") if "dag_id=load_all" in str(path)]
    assert any("Waiting for the hourly quota of Toggl until" in path.read_text() for path in logs)
    assert any("Left: at least" in path.read_text() for path in logs)


@pytest.mark.newest
@pytest.mark.parametrize(
    ("kills", "pages"),
    [pytest.param(2, 40, id="few"), pytest.param(20, 100, id="many", marks=pytest.mark.soak)],
)
def test_a_killed_worker_goes_on_at_the_next_page(sandbox, running_airflow: AirflowHome, kills: int, pages: int):
    airflow = running_airflow
    begun = datetime.now(timezone.utc).isoformat()
    toggl = sandbox("--entries", str(pages * 200), "--plan", "enterprise", "--seed", "12")
    toggl.set(largest_page_size=200)
    toggl.fault("slow", seconds=0.08, probability=1.0, seed=1, match={"path": "search/time_entries"})
    warehouse = connect_sandbox(airflow, toggl)
    pids = Path(airflow.env["TEST_PIDS"])
    for trace in pids.iterdir():
        trace.unlink()
    airflow.switch_on("each_day", "each_week")
    run = airflow.trigger("load_entries")
    chance = random.Random(kills)
    for attempt in range(1, kills + 1):
        name = airflow.wait_until(functools.partial(_find, pids, attempt), timeout=240, what=f"try {attempt}")
        wanted = len(report_calls(toggl)) + chance.randint(1, pages * 3 // 5 // kills)
        airflow.wait_until(lambda: len(report_calls(toggl)) >= wanted, timeout=180, what="pages")  # noqa: B023
        os.kill(int(name.suffix[1:]), signal.SIGKILL)
    toggl.clear_faults()
    assert airflow.wait_for_run("load_entries", run, timeout=300) == "success"
    assert entry_differences(warehouse, toggl.url) == []
    asked = [(call["start_date"], call["first_row_number"]) for call in report_calls(toggl)]
    # No attempt went back to an earlier page of a window. Only pages that a kill interrupted were requested twice.
    by_window = {first: [row for start, row in asked if start == first] for first, _ in asked}
    assert all(numbers == sorted(numbers) for numbers in by_window.values())
    assert rows(warehouse, SPENT)[0]["requests_spent"] == len(set(asked))
    assert len(asked) - len(set(asked)) <= kills
    check_partitions(airflow, warehouse, begun)


def check_partitions(airflow: AirflowHome, warehouse: Path, begun: str) -> None:
    """Check that a load reports three days and the next load three more, and that each day has its run."""

    def events(of: str) -> list[dict[str, Any]]:
        found = airflow.asset_events(f"toggl://{airflow.env['TEST_WORKSPACE']}/{of}")
        return [event for event in found if event["timestamp"] >= begun]

    def partitions() -> list[str]:
        return sorted(event["partition_key"] for event in events("days"))

    changes = rows(warehouse, 'SELECT CAST("day" AS VARCHAR) AS "day" FROM toggl.changed_days ORDER BY seq, "day" DESC')
    days = [row["day"] for row in changes]
    assert partitions() == sorted(days[:3])
    (extra,) = [event["extra"] for event in events("time_entries")]
    # Days of the killed attempts are among them.
    assert extra["days"] == sorted(days)[-366:]
    again = airflow.trigger("load_entries")
    assert airflow.wait_for_run("load_entries", again, timeout=120) == "success"
    assert partitions() == sorted(days[:6])
    # Nothing was new: of the entries there was no other event.
    assert len(events("time_entries")) == 1

    def keys_of(dag: str) -> set[str]:
        found = airflow.api("GET", f"/dags/{dag}/dagRuns")["dag_runs"]
        return {run["partition_key"] for run in found if run["state"] == "success" and run["start_date"] >= begun}

    mondays = {monday_of(date.fromisoformat(day)) for day in days[:6]}
    weeks = {f"{monday:%Y-%m-%d (W%V)}" for monday in mondays}
    airflow.wait_until(lambda: keys_of("each_day") == set(days[:6]), timeout=60, what="a run for each day")
    airflow.wait_until(lambda: keys_of("each_week") == weeks, timeout=60, what="a run for each week")


def _find(pids: Path, attempt: int) -> Path | None:
    """Return the trace of a try of the task, once it runs."""
    return next(pids.glob(f"time_entries.{attempt}.*"), None)
