"""The whole way on one machine: a local Toggl, a real Airflow, and a workspace landed in DuckDB.

Run by ``make demo``. Ends on Ctrl-C, or by itself when ``DEMO_EXIT`` is set; ends with 1 when the tables do not equal
what the
sandbox holds for true.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parents[1]
# The demo starts Airflow and checks the tables as the tests do.
sys.path.insert(0, str(ROOT / "tests"))

from support.airflow_home import AirflowHome  # noqa: E402
from support.truth import STREAMS, differences, rows  # noqa: E402

from airflow_provider_toggl.sandbox.server import SandboxProcess  # noqa: E402

HOME = ROOT / ".demo"
DAG_ID = "toggl_sync_to_duckdb"
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
    for leftover in HOME.glob("warehouse.duckdb*"):
        leftover.unlink()
    (HOME / "toggl" / "quota.sqlite").unlink(missing_ok=True)
    say(f"Starting a local Toggl with {ENTRIES} time entries on the free plan ...")
    with (
        SandboxProcess(["--seed", "7", "--entries", ENTRIES, "--plan", "free"]) as toggl,
        AirflowHome(HOME, dags=ROOT / "dags") as airflow,
    ):
        connect(airflow, toggl, warehouse)
        say("Starting Airflow: API server, scheduler, DAG processor, triggerer ...")
        airflow.start()
        say(f"Airflow is up at {airflow.url} ({time.monotonic() - started:.0f} s). Running DAG {DAG_ID} ...")
        state = airflow.wait_for_run(DAG_ID, first_run(airflow), timeout=150)
        code = report(state, warehouse, toggl)
        say(f"Done in {time.monotonic() - started:.0f} s on {os.cpu_count()} cores.")
        if not os.environ.get("DEMO_EXIT"):
            say(f"The UI is at {airflow.url}, the local Toggl at {toggl.url}, the tables in {warehouse}. Ctrl-C ends.")
            wait_for_interrupt()
    return code


def connect(airflow: AirflowHome, toggl: SandboxProcess, warehouse: Path) -> None:
    """Give Airflow its two connections."""
    extra = {"workspace_id": toggl.workspace_id, "requests_per_second": 5}
    fields = {"conn_type": "toggl", "host": toggl.url, "password": toggl.token, "extra": extra}
    airflow.set_connection("toggl_default", fields)
    airflow.set_connection("duckdb_default", {"conn_type": "duckdb", "host": str(warehouse)})


def first_run(airflow: AirflowHome) -> str:
    """Switch the DAG on and return the run that its schedule starts then."""
    runs = f"/dags/{DAG_ID}/dagRuns"
    airflow.wait_until(lambda: airflow.is_parsed(DAG_ID), timeout=60, what=f"DAG {DAG_ID} to be parsed")
    airflow.api("PATCH", f"/dags/{DAG_ID}", json={"is_paused": False})
    started = airflow.wait_until(lambda: airflow.api("GET", runs)["dag_runs"], timeout=60, what="the scheduled run")
    return str(started[0]["dag_run_id"])


def report(state: str, warehouse: Path, toggl: SandboxProcess) -> int:
    """Print what was landed and what it cost; return 0 when it is the truth."""
    say(f"The run ended: {state}.\n")
    for stream in STREAMS:
        count = rows(warehouse, f"SELECT count(*) AS n FROM toggl.{stream}")[0]["n"]  # noqa: S608 - a fixed name
        print(f"  {stream:<14} {count:>8,} rows")
    print("\n  hours by project")
    for row in rows(warehouse, HOURS):
        print(f"  {row['hours']:>9,.2f}  {row['client']} / {row['project']}")
    requests = toggl.requests()
    print(f"\n  requests spent: {requests['total']} ({requests['by_lane']}), of 30 an hour on the free plan")
    wrong = differences(warehouse, toggl.url)
    print("  the tables equal the sandbox's truth" if not wrong else f"  {len(wrong)} differences: {wrong[:5]}")
    print()
    return 0 if state == "success" and not wrong else 1


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
