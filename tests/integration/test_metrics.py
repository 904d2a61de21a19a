"""The metrics that a real StatsD server receives from a whole run, compared with the documented table."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import requests
from support.airflow_home import AirflowHome, connect_sandbox
from support.deliveries import HEADER, SECRET, event_body, sign
from support.metrics import StatsdListener
from support.repository import documented_metrics
from support.truth import rows

from airflow_provider_toggl.core import metrics

pytestmark = [pytest.mark.airflow, pytest.mark.soak, pytest.mark.timeout(600)]

DAGS = (
    Path(__file__).parents[1] / "metrics_dags" / "observed.py",
    Path(__file__).parents[2] / "dags" / "toggl_freshness.py",
)
#: The run does not cause these: the store is never down, and no mass deletion is refused.
NOT_CAUSED = {metrics.TAIL_OUTAGES.name, metrics.REFUSED_WINDOWS.name}
ENTRIES = "/search/time_entries$"
SOON = "You have hit your hourly limit for API calls. Your quota will reset in 1 seconds."
QUOTA_HEADERS = {"X-Toggl-Quota-Remaining": "0", "X-Toggl-Quota-Resets-In": "1"}
QUICK = {
    # Parsing files again is most of what an idle Airflow does.
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
    # Airflow sends hundreds of its own metrics a second, and UDP may drop some.
    "AIRFLOW__METRICS__METRICS_ALLOW_LIST": "^toggl",
    # No data is that fresh, so the deadline passes.
    "TOGGL_FRESH_MINUTES": "-1",
    "TOGGL_DEADLINE_SECONDS": "1",
}


@pytest.fixture
def statsd() -> Iterator[StatsdListener]:
    with StatsdListener() as listener:
        yield listener


@pytest.fixture
def airflow(tmp_path: Path, statsd: StatsdListener) -> Iterator[AirflowHome]:
    with AirflowHome(tmp_path / "airflow", env={**statsd.env(), **QUICK}) as home:
        for dag in DAGS:
            shutil.copy(dag, home.dags)
        yield home
        home.stop(timeout=0)


def test_a_whole_run_is_measured_as_documented(sandbox: Any, airflow: AirflowHome, statsd: StatsdListener) -> None:
    toggl = sandbox("--entries", "400", "--plan", "starter", "--seed", "21")
    # One wait for the quota and one for a retry, caused by faults, so that their number is the same on every machine.
    toggl.fault("status", status=402, body=SOON, headers=QUOTA_HEADERS, before_quota=True, match={"path": ENTRIES})
    toggl.fault("status", status=503, match={"path": ENTRIES})
    warehouse = connect_sandbox(airflow, toggl, webhook_secret=SECRET, webhook_callback_url=airflow.url)
    airflow.env["AIRFLOW__TOGGL__RECEIVER_CONNECTIONS"] = "toggl_default"
    airflow.start()
    airflow.switch_on("watched", "toggl_freshness")
    run = airflow.trigger("observed")
    airflow.wait_until(lambda: _state(airflow, run, "wait") == "deferred", timeout=120, what="the wait to begin")
    statuses = [
        deliver(airflow, event_body(1)),
        deliver(airflow, event_body(1)),
        deliver(airflow, b"{}", sign(b"{}", "guessed")),
    ]
    assert statuses == [200, 200, 401]
    assert airflow.wait_for_run("observed", run, timeout=240) == "success"

    total = statsd.total
    with contextlib.suppress(TimeoutError):  # the next assertion names what is missing
        airflow.wait_until(
            lambda: not differences(statsd) and total(metrics.DELIVERIES, outcome="wrong_signature"),
            timeout=60,
            what="all metrics",
        )
    assert differences(statsd) == []
    # The values are right too.
    assert total(metrics.DELIVERIES, outcome="duplicate") == 1
    assert total(metrics.REQUESTS) == total(metrics.RUN_REQUESTS) + ensure_requests(airflow, run)
    assert total(metrics.REQUESTS) == toggl.requests()["total"]
    assert total(metrics.REQUESTS, status="402") == total(metrics.REQUESTS, status="5xx") == 1
    assert total(metrics.DEFERRALS) == total(metrics.DEFERRALS, connection="toggl_default", reason="quota") == 1
    assert total(metrics.WAIT, reason="retry") == 1
    count = airflow.wait_until(lambda: count_of(warehouse), timeout=60, what="the warehouse to be free")
    assert total(metrics.LOADED_ROWS, result="inserted") == count
    assert 0 in [one.value for one in statsd.arrived(metrics.LAG.name) if one.tag("consumer") == "duckdb_default.toggl"]
    assert total(metrics.QUOTA_LIMIT) == 240
    assert total(metrics.LATE_RUNS, dag="toggl_freshness") >= 1
    check_fields(airflow, toggl.workspace_id)


def count_of(warehouse: Path) -> int:
    """Return the number of loaded entries, 0 while a task has the file open."""
    try:
        return int(rows(warehouse, "SELECT count(*) AS n FROM toggl.time_entries")[0]["n"])
    except duckdb.IOException:
        return 0


def check_fields(airflow: AirflowHome, workspace_id: int) -> None:
    """Check that lines of the task's log, which is JSON, have their fields."""
    lines = lines_of(airflow, "pull")
    own = [line for line in lines if line.get("by") == "pull"]
    assert {(line["connection"], line["workspace_id"], line["stream"]) for line in own} == {
        ("toggl_default", workspace_id, "time_entries")
    }
    # The message has text for people, and the fields have numbers.
    *_, summary = [line for line in own if "seconds" in line]
    assert f"{summary['rows']:,} rows in {summary['pages']} pages" in summary["event"]
    assert {"requests", "quota_left", "watermark", "inserted", "deferrals"} <= summary.keys()
    (deferred, *_) = [line for line in lines if "deferred_until" in line]
    assert deferred["connection"] == "toggl_default"
    assert [line["connection"] for line in lines if "retry_in" in line] == ["toggl_default"]
    # A wait begins on a worker and ends in the triggerer.
    waited = [line for line in lines_of(airflow, "wait") if line.get("by") == "wait"]
    assert {(line["connection"], line["seq"]) for line in waited} == {("toggl_default", 0), ("toggl_default", 1)}
    assert not [line for line in lines if SECRET in json.dumps(line)]


def lines_of(airflow: AirflowHome, task: str) -> list[dict[str, Any]]:
    """Return the lines of a task's log, those from the triggerer too."""
    paths = sorted(airflow.path.glob(f"logs/dag_id=observed/*/task_id={task}/*.log"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def differences(statsd: StatsdListener) -> list[str]:
    """Return the metrics that differ from the table, and those of the table that were not sent."""
    table, sent = documented_metrics(), statsd.arrived()
    wrong = {
        f"{one.name}: {one.kind} with {sorted(dict(one.tags))}"
        for one in sent
        if one.name not in table or (one.kind, set(dict(one.tags))) != (table[one.name].kind, set(table[one.name].tags))
    }
    missing = {f"{name} was not sent" for name in table.keys() - {one.name for one in sent} - NOT_CAUSED}
    return sorted(wrong | missing)


def deliver(airflow: AirflowHome, body: bytes, signature: str | None = None) -> int:
    """Send a delivery to the receiver in the API server; return the status."""
    address = f"{airflow.url}/toggl/webhooks/toggl_default"
    headers = {HEADER: signature or sign(body), "Content-Type": "application/json"}
    return requests.post(address, data=body, headers=headers, timeout=30).status_code


def ensure_requests(airflow: AirflowHome, run: str) -> int:
    """Return the number of requests that ensuring the subscription took."""
    path = f"/dags/observed/dagRuns/{run}/taskInstances/ensure/xcomEntries/return_value"
    return int(airflow.api("GET", path, params={"deserialize": "true"})["value"]["requests"])


def _state(airflow: AirflowHome, run: str, task: str) -> str | None:
    return {one["task_id"]: one["state"] for one in airflow.task_instances("observed", run)}.get(task)
