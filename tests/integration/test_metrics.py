"""What a real StatsD server is sent by a whole run, beside the table that is documented."""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import requests
from support.airflow_home import AirflowHome
from support.deliveries import HEADER, SECRET, event_body, sign
from support.landing import connect
from support.metrics_page import documented
from support.statsd import StatsdListener
from support.truth import rows

from airflow_provider_toggl.core import metrics

pytestmark = [pytest.mark.airflow, pytest.mark.newest, pytest.mark.soak, pytest.mark.timeout(600)]

DAGS = (
    Path(__file__).parents[1] / "metrics_dags" / "observed.py",
    Path(__file__).parents[2] / "dags" / "toggl_freshness.py",
)
#: What the run does not cause: the store is never down, and never is so much missing at once.
NOT_CAUSED = {metrics.TAIL_OUTAGES.name, metrics.REFUSED_WINDOWS.name}


@pytest.fixture
def statsd() -> Iterator[StatsdListener]:
    with StatsdListener() as listener:
        yield listener


@pytest.fixture
def airflow(tmp_path: Path, statsd: StatsdListener) -> Iterator[AirflowHome]:
    # Of Airflow's own there are hundreds a second, for which UDP may have no room.
    env = {**statsd.env(), "AIRFLOW__METRICS__METRICS_ALLOW_LIST": "^toggl", "TOGGL_DEADLINE_SECONDS": "3"}
    with AirflowHome(tmp_path / "airflow", env=env) as home:
        for dag in DAGS:
            shutil.copy(dag, home.dags)
        yield home


def test_a_whole_run_is_measured_as_documented(sandbox: Any, airflow: AirflowHome, statsd: StatsdListener) -> None:
    toggl = sandbox("--entries", "400", "--plan", "free", "--seed", "21")
    toggl.set(organization_quota=9, quota_window_seconds=5, largest_page_size=50)
    warehouse = connect(airflow, toggl, quota_reserve=0, webhook_secret=SECRET, webhook_callback_url=airflow.url)
    airflow.env["AIRFLOW__TOGGL__RECEIVER_CONNECTIONS"] = "toggl_default"
    airflow.start()
    airflow.wait_until(functools.partial(airflow.is_parsed, "watched"), timeout=60, what="the DAG")
    airflow.api("PATCH", "/dags/watched", json={"is_paused": False})
    run = airflow.trigger("observed")
    airflow.trigger("toggl_freshness")  # nothing is landed yet, so its deadline passes
    airflow.wait_until(lambda: _state(airflow, run, "wait") == "deferred", timeout=120, what="the wait to begin")
    statuses = [
        deliver(airflow, event_body(1)),
        deliver(airflow, event_body(1)),
        deliver(airflow, b"{}", sign(b"{}", "guessed")),
    ]
    assert statuses == [200, 200, 401]
    assert airflow.wait_for_run("observed", run, timeout=240) == "success"

    total = statsd.total
    with contextlib.suppress(TimeoutError):  # what is missing then is said below
        airflow.wait_until(
            lambda: not differences(statsd) and total(metrics.DELIVERIES, outcome="wrong_signature"),
            timeout=60,
            what="all metrics",
        )
    assert differences(statsd) == []
    # Not only the names are right.
    assert total(metrics.DELIVERIES, outcome="duplicate") == 1
    assert total(metrics.REQUESTS) == total(metrics.RUN_REQUESTS) + asked_to_ensure(airflow, run)
    assert total(metrics.REQUESTS) == toggl.requests()["total"]
    assert total(metrics.DEFERRALS, connection="toggl_default", reason="quota") >= 1
    count = airflow.wait_until(lambda: count_of(warehouse), timeout=60, what="the warehouse to be free")
    assert total(metrics.LANDED, result="inserted") == count
    assert total(metrics.LAG, consumer="duckdb_default.toggl") == 0
    assert total(metrics.QUOTA_LIMIT) == 9
    assert total(metrics.LATE, dag="toggl_freshness") >= 1
    check_fields(airflow, toggl.workspace_id)


def count_of(warehouse: Path) -> int:
    """Return how many entries are landed, 0 while a task has the file."""
    try:
        return int(rows(warehouse, "SELECT count(*) AS n FROM toggl.time_entries")[0]["n"])
    except duckdb.IOException:
        return 0


def check_fields(airflow: AirflowHome, workspace_id: int) -> None:
    """Check that lines of the task's log, which is JSON, have their fields."""
    lines = [
        json.loads(line)
        for path in sorted(airflow.path.glob("logs/dag_id=observed/*/task_id=pull/*.log"))
        for line in path.read_text().splitlines()
    ]
    own = [line for line in lines if line.get("by") == "pull"]
    assert {(line["connection"], line["workspace_id"], line["stream"]) for line in own} == {
        ("toggl_default", workspace_id, "time_entries")
    }
    # What it is to people is there as well, and what it is to machines is a number.
    *_, summary = [line for line in own if "seconds" in line]
    assert f"{summary['rows']:,} rows in {summary['pages']} pages" in summary["event"]
    assert {"requests", "quota_left", "watermark", "inserted", "deferrals"} <= summary.keys()
    (deferred, *_) = [line for line in lines if "deferred_until" in line]
    assert deferred["connection"] == "toggl_default"
    assert not [line for line in lines if SECRET in json.dumps(line)]


def differences(statsd: StatsdListener) -> list[str]:
    """Return what was sent and is not so in the table, and what the table has and was not sent."""
    table, sent = documented(), statsd.arrived()
    wrong = {
        f"{one.name}: {one.kind} with {sorted(dict(one.tags))}"
        for one in sent
        if one.name not in table or (one.kind, set(dict(one.tags))) != (table[one.name].kind, set(table[one.name].tags))
    }
    missing = {f"{name} never came" for name in table.keys() - {one.name for one in sent} - NOT_CAUSED}
    return sorted(wrong | missing)


def deliver(airflow: AirflowHome, body: bytes, signature: str | None = None) -> int:
    """Send a delivery to the receiver in the API server; return the status."""
    address = f"{airflow.url}/toggl/webhooks/toggl_default"
    headers = {HEADER: signature or sign(body), "Content-Type": "application/json"}
    return requests.post(address, data=body, headers=headers, timeout=30).status_code


def asked_to_ensure(airflow: AirflowHome, run: str) -> int:
    """Return how many requests the subscription took."""
    path = f"/dags/observed/dagRuns/{run}/taskInstances/ensure/xcomEntries/return_value"
    return int(airflow.api("GET", path, params={"deserialize": "true"})["value"]["requests"])


def _state(airflow: AirflowHome, run: str, task: str) -> str | None:
    return {one["task_id"]: one["state"] for one in airflow.task_instances("observed", run)}.get(task)
