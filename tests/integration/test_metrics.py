"""What a real StatsD server is sent by a whole run, beside the table that is documented."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from support.airflow_home import AirflowHome
from support.deliveries import HEADER, SECRET, event_body, sign
from support.landing import connect
from support.metrics_page import documented
from support.statsd import StatsdListener
from support.truth import rows

from airflow_provider_toggl.core import metrics

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

DAGS = Path(__file__).parents[1] / "metrics_dags"
#: What the run does not cause: the store is never down, and never is so much missing at once.
NOT_CAUSED = {metrics.TAIL_OUTAGES.name, metrics.REFUSED_WINDOWS.name}


@pytest.fixture
def statsd() -> Iterator[StatsdListener]:
    with StatsdListener() as listener:
        yield listener


@pytest.fixture
def airflow(tmp_path: Path, statsd: StatsdListener) -> Iterator[AirflowHome]:
    # Of Airflow's own there are hundreds a second, for which UDP may have no room.
    env = {**statsd.env(), "AIRFLOW__METRICS__METRICS_ALLOW_LIST": "^toggl"}
    with AirflowHome(tmp_path / "airflow", dags=DAGS, env=env) as home:
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
    airflow.wait_until(lambda: _state(airflow, run, "wait") == "deferred", timeout=120, what="the wait to begin")
    statuses = [deliver(airflow, event_body(1)), deliver(airflow, event_body(1)), deliver(airflow, b"{}", "sha256=00")]
    assert statuses == [200, 200, 401]
    assert airflow.wait_for_run("observed", run, timeout=240) == "success"

    def complete() -> bool:
        names = {one.name for one in statsd.arrived()}
        return names >= metrics.CATALOGUE.keys() - NOT_CAUSED and total(metrics.DELIVERIES, outcome="unsigned") == 1

    total = statsd.total
    airflow.wait_until(complete, timeout=60, what=f"all of {metrics.CATALOGUE.keys()}")
    assert differences(statsd) == []
    # Not only the names are right.
    assert total(metrics.DELIVERIES, outcome="duplicate") == 1
    assert total(metrics.REQUESTS) == total(metrics.RUN_REQUESTS) + asked_to_ensure(airflow, run)
    assert total(metrics.REQUESTS) == toggl.requests()["total"]
    assert total(metrics.DEFERRALS, connection="toggl_default", reason="quota") >= 1
    (count,) = rows(warehouse, "SELECT count(*) AS n FROM toggl.time_entries")
    assert total(metrics.LANDED, result="inserted") == count["n"]
    assert total(metrics.LAG, consumer="duckdb_default.toggl") == 0
    assert total(metrics.QUOTA_LIMIT) == 9


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
