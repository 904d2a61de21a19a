"""The demo: a local Toggl, a real Airflow, a workspace loaded into DuckDB, and changes that follow.

Run by ``make demo``. Ends on Ctrl-C, or by itself when ``DEMO_EXIT`` is set; ends with 1 when the tables do not equal
what the sandbox holds for true.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import duckdb
import requests

ROOT = Path(__file__).resolve().parents[1]
# The demo starts Airflow and checks the tables as the tests do.
sys.path.insert(0, str(ROOT / "tests"))

from support.airflow_home import AirflowHome  # noqa: E402
from support.truth import STREAMS, differences, rows  # noqa: E402

from airflow_provider_toggl.sandbox.server import SandboxProcess  # noqa: E402

HOME = ROOT / ".demo"
DAG_ID = "toggl_sync_to_duckdb"
SUBSCRIPTION_DAG_ID = "toggl_subscription"
CHANGES_DAG_ID = "toggl_on_change"
ENTRIES = os.environ.get("DEMO_ENTRIES", "10000")
HOURS = """
    SELECT coalesce(client_name, '(no client)') AS client, coalesce(project_name, '(no project)') AS project,
           round(sum(hours), 2) AS hours
    FROM toggl.time_entry_facts GROUP BY ALL ORDER BY hours DESC LIMIT 12
"""


def main() -> int:
    """Run the demo and return the exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    started = time.monotonic()
    warehouse = HOME / "warehouse.duckdb"
    # Of an earlier demo; what its Airflow has encrypted could not be read with the key of this one.
    for leftover in ("warehouse.duckdb*", "airflow.db*", "toggl/quota.sqlite*", "toggl/events.sqlite*"):
        for file in HOME.glob(leftover):
            file.unlink()
    say(f"Starting a local Toggl with {int(ENTRIES):,} time entries on the free plan ...")
    with (
        SandboxProcess(sandbox_arguments()) as toggl,
        AirflowHome(HOME, dags=ROOT / "dags") as airflow,
    ):
        say("Starting Airflow: API server, scheduler, DAG processor, triggerer ...")
        airflow.env["AIRFLOW__TOGGL__RECEIVER_CONNECTIONS"] = "toggl_default"
        airflow.env["TOGGL_WORKSPACE_ID"] = str(toggl.workspace_id)
        airflow.start()
        connect(airflow, toggl, warehouse)
        say(f"Airflow is up at {airflow.url} ({time.monotonic() - started:.0f} s). Running DAG {DAG_ID} ...")
        state = airflow.wait_for_run(DAG_ID, first_run(airflow), timeout=150)
        code = report(state, warehouse, toggl)
        if state == "success":
            code = max(code, show_changes(airflow, toggl, warehouse))
        say(f"Done in {time.monotonic() - started:.0f} s on {os.cpu_count()} cores.")
        if not os.environ.get("DEMO_EXIT"):
            say(f"The UI is at {airflow.url}, the local Toggl at {toggl.url}, the tables in {warehouse}. Ctrl-C ends.")
            wait_for_interrupt()
    return code


def connect(airflow: AirflowHome, toggl: SandboxProcess, warehouse: Path) -> None:
    """Add the two connections to Airflow, where the UI shows them."""
    extra = {
        "workspace_id": toggl.workspace_id,
        "requests_per_second": 5,
        "webhook_secret": secrets.token_hex(20),
        "webhook_callback_url": airflow.url,
    }
    connections = [
        {
            "connection_id": "toggl_default",
            "conn_type": "toggl",
            "host": toggl.url,
            "password": toggl.token,
            "extra": json.dumps(extra),
        },
        {"connection_id": "duckdb_default", "conn_type": "duckdb", "host": str(warehouse)},
    ]
    added = {"action": "create", "action_on_existence": "overwrite", "entities": connections}
    airflow.api("PATCH", "/connections", json={"actions": [added]})


def switch_on(airflow: AirflowHome, dag_id: str) -> None:
    """Unpause a DAG."""
    airflow.wait_until(lambda: airflow.is_parsed(dag_id), timeout=60, what=f"DAG {dag_id} to be parsed")
    airflow.api("PATCH", f"/dags/{dag_id}", json={"is_paused": False})


def first_run(airflow: AirflowHome, dag_id: str = DAG_ID) -> str:
    """Switch the DAG on and return the run that its schedule starts then."""
    runs = f"/dags/{dag_id}/dagRuns"
    switch_on(airflow, dag_id)
    started = airflow.wait_until(lambda: airflow.api("GET", runs)["dag_runs"], timeout=60, what="the scheduled run")
    return str(started[0]["dag_run_id"])


def report(state: str, warehouse: Path, toggl: SandboxProcess) -> int:
    """Print what was loaded and what it cost; return 0 if it equals the sandbox's data."""
    say(f"The run ended: {state}.\n")
    for stream in STREAMS:
        count = rows(warehouse, f"SELECT count(*) AS n FROM toggl.{stream}")[0]["n"]  # noqa: S608 - a fixed name
        print(f"  {stream:<14} {count:>8,} rows")
    print("\n  hours by project")
    for row in rows(warehouse, HOURS):
        print(f"  {row['hours']:>9,.2f}  {row['client']} / {row['project']}")
    print(f"\n  {cost(toggl.requests())}; the free plan has 30 an hour")
    wrong = differences(warehouse, toggl.url)
    print("  the tables equal the sandbox's truth" if not wrong else f"  {len(wrong)} differences: {wrong[:5]}")
    print()
    return 0 if state == "success" and not wrong else 1


def sandbox_arguments() -> list[str]:
    """Return the options of the local Toggl."""
    return ["--seed", "7", "--entries", ENTRIES, "--plan", "free"]


def cost(requests: dict[str, Any]) -> str:
    """Return what the sandbox counted, in words."""
    entries = sum(count for path, count in requests["by_endpoint"].items() if path.endswith("/search/time_entries"))
    return f"{requests['total']} requests, {entries} of them for {int(ENTRIES):,} time entries"


def show_changes(airflow: AirflowHome, toggl: SandboxProcess, warehouse: Path) -> int:
    """Subscribe to changes, make some, and print how long each took to be a row; return 0 when all came."""
    say(f"Declaring a webhook subscription (DAG {SUBSCRIPTION_DAG_ID}) ...")
    state = airflow.wait_for_run(SUBSCRIPTION_DAG_ID, first_run(airflow, SUBSCRIPTION_DAG_ID), timeout=60)
    switch_on(airflow, CHANGES_DAG_ID)
    spent = toggl.requests()["by_lane"]["organization"]
    came = 0
    say(f"Changing entries in the local Toggl; DAG {CHANGES_DAG_ID} loads what the webhooks report ...\n")
    for number in range(1, 4):
        entry_id = track_an_hour(toggl, f"by webhook, {number}")
        began = time.monotonic()
        seen = seconds_until(lambda: has_row(warehouse, entry_id), began, 60)  # noqa: B023 - asked at once
        came += seen is not None
        words = "did not become a row" if seen is None else f"was a row after {seen:.1f} s"
        say(f"  entry {entry_id} {words}")
    events, more = toggl.webhook_events(), toggl.requests()["by_lane"]["organization"] - spent - 3
    acknowledged = sum(event["acknowledged"] for event in events)
    say(f"\n  events: {len(events)}, acknowledged: {acknowledged}; requests to load them: {more}")
    wrong = differences(warehouse, toggl.url)
    say("  the tables equal the sandbox's truth\n" if not wrong else f"  {len(wrong)} differences: {wrong[:5]}\n")
    return 0 if state == "success" and came == 3 and not wrong else 1


def track_an_hour(toggl: SandboxProcess, description: str) -> int:
    """Add a time entry to the local Toggl as its own app would; return its id."""
    entry = {
        "created_with": "demo",
        "description": description,
        "workspace_id": toggl.workspace_id,
        "start": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3600)),
        "duration": 3600,
    }
    url = f"{toggl.url}/api/v9/workspaces/{toggl.workspace_id}/time_entries"
    answer = requests.post(url, json=entry, auth=(toggl.token, "api_token"), timeout=30)
    answer.raise_for_status()
    return int(answer.json()["id"])


def has_row(warehouse: Path, entry_id: int) -> bool:
    """Return whether an entry is loaded; False while a task writes the file."""
    try:
        return bool(rows(warehouse, f"SELECT id FROM toggl.live_time_entries WHERE id = {entry_id}"))  # noqa: S608
    except duckdb.IOException:
        return False


def seconds_until(condition: Callable[[], bool], began: float, timeout: float) -> float | None:
    """Return the seconds since then at which the condition held, None when it did not in time."""
    while time.monotonic() - began < timeout:
        if condition():
            return time.monotonic() - began
        time.sleep(0.05)
    return None


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def wait_for_interrupt() -> None:
    """Wait until the user has seen enough."""
    try:
        signal.pause()
    except KeyboardInterrupt:
        say("\nEnding.")


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - what a signal handler is given
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        say("Interrupted.")
        sys.exit(130)
