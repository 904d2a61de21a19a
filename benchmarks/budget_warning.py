"""Measure how soon after a time entry the example of budgets warns, in a real Airflow with webhooks.

Prints one JSON object. Each turn tracks an entry that takes a project of its own past 80 % of its estimate, and waits
for the line in the log of the task. The Airflow runs four processes on this machine, with SQLite.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import requests
from harness.limits import Limit, report

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))  # the Airflow of the tests

LONGEST = 60.0
"""Seconds from the entry to the warning, the median."""
EXAMPLES = ("subscription", "sync_to_duckdb", "on_change", "budget_alert")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print JSON, and return 1 when the limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5, help="entries that are timed (default: %(default)s)")
    with contextlib.redirect_stdout(sys.stderr):  # standard output is for the result alone
        seconds = measure(parser.parse_args(arguments).turns)
    median = round(statistics.median(seconds), 1)
    result = {
        "benchmark": "budget_warning",
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
        "seconds": seconds,
        "median": median,
    }
    return report(result, [Limit("seconds from the entry to the warning, median", median, at_most=LONGEST)])


def measure(turns: int) -> list[float]:
    """Return the seconds of each turn."""
    from support.airflow_home import AirflowHome, connect_sandbox  # noqa: PLC0415 - found by sys.path, above

    from airflow_provider_toggl.sandbox.server import SandboxProcess  # noqa: PLC0415 - as above

    with (
        tempfile.TemporaryDirectory() as folder,
        SandboxProcess(["--entries", "50", "--plan", "premium"]) as toggl,
        AirflowHome(Path(folder) / "airflow") as airflow,
    ):
        for example in EXAMPLES:
            shutil.copy(ROOT / "dags" / f"toggl_{example}.py", airflow.dags)
        connect_sandbox(airflow, toggl, webhook_secret="whsec-benchmark", webhook_callback_url=airflow.url)  # noqa: S106 - made up
        airflow.env |= {
            "AIRFLOW__TOGGL__RECEIVER_CONNECTIONS": "toggl_default",
            "TOGGL_WORKSPACE_ID": str(toggl.workspace_id),
        }
        airflow.start()
        run(airflow, "toggl_subscription")
        names = [f"Budget {turn}" for turn in range(turns)]
        projects = [write(toggl, "projects", name=name, active=True, estimated_hours=1)["id"] for name in names]
        run(airflow, "toggl_sync_to_duckdb")
        airflow.switch_on("toggl_on_change", "toggl_budget_alert")
        wait_until_idle(airflow)
        return [time_one(airflow, toggl, *pair) for pair in zip(names, projects, strict=True)]


def time_one(airflow: Any, toggl: Any, name: str, project: int) -> float:
    """Track an hour, and return the seconds until the warning."""
    start = datetime.now(timezone.utc) - timedelta(hours=2)
    known = {"created_with": "benchmark", "workspace_id": toggl.workspace_id, "project_id": project}
    began = time.monotonic()
    write(toggl, "time_entries", **known, start=start.isoformat(), duration=3600)
    airflow.wait_until(lambda: is_warned(airflow.path, name), timeout=300, what=f"the warning of {name}")
    seconds = round(time.monotonic() - began, 1)
    wait_until_idle(airflow)
    return seconds


def run(airflow: Any, dag_id: str) -> None:
    """Run a DAG to its end."""
    state = airflow.wait_for_run(dag_id, airflow.trigger(dag_id), timeout=300)
    if state != "success":
        raise RuntimeError(f"{dag_id}: {state}")


def wait_until_idle(airflow: Any) -> None:
    """Wait until no run is queued or running, so that turns do not wait for each other."""

    def is_idle() -> bool:
        runs = airflow.api("GET", "/dags/~/dagRuns", params={"state": ["queued", "running"]})
        return not runs["dag_runs"]

    airflow.wait_until(is_idle, timeout=300, what="no run")


def is_warned(home: Path, name: str) -> bool:
    """Whether a task has logged the warning of a project."""
    logs = (home / "logs").rglob("attempt=*.log")
    return any(
        f"{name}: " in text and "are used up." in text
        for text in (path.read_text() for path in logs if "toggl_budget_alert" in str(path))
    )


def write(toggl: Any, path: str, **body: Any) -> Any:
    """Create a record in the sandbox."""
    url = f"{toggl.url}/api/v9/workspaces/{toggl.workspace_id}/{path}"
    answer = requests.post(url, json=body, auth=(toggl.token, "api_token"), timeout=30)
    answer.raise_for_status()
    return answer.json()


if __name__ == "__main__":
    sys.exit(main())
