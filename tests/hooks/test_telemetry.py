from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from airflow import __version__ as airflow_version
from support.deliveries import event_body
from support.metrics import Measurement, StatsdListener, catalogue_faults, recording
from support.otlp import collecting
from support.servers.receivers import ReceiverProcess
from support.waiting import wait_until

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.hooks import telemetry

pytestmark = pytest.mark.airflow

# Each metric once, with its tags' names for values, by the sink of a process in which Airflow has started nothing.
EMIT_ALL = """
from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.hooks import telemetry

telemetry.connect()
telemetry.warm_up()
for metric in metrics.CATALOGUE.values():
    tags = {name: f"of:{name}" for name in metric.tags}
    getattr(metric, {"counter": "add", "gauge": "set", "timer": "record"}[metric.kind])(3, **tags)
"""

CHOOSE = """
import inspect, sys
from airflow.observability.stats import Stats as ServerStats
from airflow.sdk.observability.metrics import stats_utils
from airflow.sdk.observability.stats import Stats as TaskStats
from airflow_provider_toggl.hooks import telemetry

def forget(copy):
    module = sys.modules[copy.__module__]
    for name in {"_backend", "_factory"} & vars(module).keys():  # Airflow 3.3
        setattr(module, name, None)
    for name in ("instance", "factory"):  # Airflow 3.2
        setattr(copy, name, None)

forget(TaskStats)  # which importing the serializers of Airflow 3.3 starts
forget(ServerStats)
assert telemetry._choose() is ServerStats, "it is started where nothing is"
ServerStats.incr("x")
assert telemetry._choose() is ServerStats, "one that sends is used"
start, factory = TaskStats.initialize, stats_utils.get_stats_factory
if "export_legacy_names" in inspect.signature(start).parameters:
    start(factory=factory(), export_legacy_names=False)
else:
    start(factory=factory(TaskStats))
assert telemetry._choose() is ServerStats, "one that only could send is not"
TaskStats.incr("ti.start")
assert telemetry._choose() is TaskStats, "what a task's process sends by is used in it"
"""


# A task's work, with what it measures on its way.
WORK = """
from support.webhook_events import change_event
from airflow_provider_toggl.hooks.events import open_event_store
from airflow_provider_toggl.operators.events import TogglCommitEventsOperator

with open_event_store("toggl_default") as store:
    store.append([change_event(number) for number in (1, 2, 3)])
commit = TogglCommitEventsOperator(task_id="commit", consumer="report", seq=2)
assert commit.execute({}) == commit.execute({}) == {"consumer": "report", "seq": 2}
"""
#: A host that has no address, and a client that raises.
BROKEN = {
    "unknown": {"STATSD_HOST": "nowhere.invalid"},
    "raising": {"STATSD_CUSTOM_CLIENT_PATH": "support.broken_statsd.Raising"},
}


def run(program: str, env: Mapping[str, str]) -> str:
    """Run a program in a new process and return its output."""
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_statsd_receives_every_metric_with_its_kind_and_valid_tags() -> None:
    with StatsdListener() as statsd:
        run(EMIT_ALL, statsd.env())
        wait_until(lambda: {one.name for one in statsd.arrived()} == metrics.CATALOGUE.keys())
        arrived = statsd.arrived()
    assert catalogue_faults(arrived) == []
    assert {value for one in arrived for _, value in one.tags} == {
        f"of_{name}" for metric in metrics.CATALOGUE.values() for name in metric.tags
    }
    assert {one.value for one in arrived if one.kind == "timer"} == {3000}


def test_opentelemetry_receives_every_metric() -> None:
    with collecting() as collector:
        run(EMIT_ALL, collector.env())
        arrived = collector.arrived()
    assert {one.name for one in arrived} == metrics.CATALOGUE.keys()
    if airflow_version.startswith("3.2."):  # there a timer is a gauge
        arrived = [_as_timer(one) for one in arrived]
    assert catalogue_faults(arrived) == []
    assert {one.value for one in arrived if one.kind == "timer"} == {3000}


def _as_timer(one: Measurement) -> Measurement:
    kind = metrics.CATALOGUE[one.name].kind
    return Measurement(one.name, "timer", one.tags, one.value) if (one.kind, kind) == ("gauge", "timer") else one


def test_a_client_that_airflow_has_started_is_used() -> None:
    run(CHOOSE, {"AIRFLOW__METRICS__STATSD_ON": "True", "AIRFLOW__METRICS__STATSD_PORT": "9"})


def test_a_forked_process_selects_its_own_client(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = telemetry.AirflowSink()
    monkeypatch.setattr(telemetry, "_choose", object)
    first = sink.stats()
    assert sink.stats() is first
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert sink.stats() is not first


@pytest.mark.parametrize("fault", BROKEN)
def test_a_missing_or_failing_backend_fails_no_work(tmp_path: Path, fault: str) -> None:
    said = run(
        WORK,
        {
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "AIRFLOW_HOME": str(tmp_path),
            "AIRFLOW__TOGGL__STATE_DIR": str(tmp_path / "state"),
            "AIRFLOW_CONN_TOGGL_DEFAULT": '{"conn_type": "toggl", "password": "a-secret-token"}',
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
            **{f"AIRFLOW__METRICS__{name}": value for name, value in BROKEN[fault].items()},
        },
    )
    assert said.count("Metrics cannot be sent and are lost: OSError") == (1 if fault == "raising" else 0)


def test_connecting_twice_changes_nothing() -> None:
    with recording():  # which sends elsewhere, and then nowhere
        telemetry.connect()
        assert metrics.is_sent_to(telemetry._SINK)
        telemetry.connect()
        assert metrics.is_sent_to(telemetry._SINK)


def test_a_standalone_receiver_sends_outcomes_to_statsd(tmp_path: Path) -> None:
    with StatsdListener() as statsd, ReceiverProcess(tmp_path, env=statsd.env()) as receiver:
        assert receiver.deliver(event_body(1)).status_code == 200
        assert receiver.deliver(event_body(1)).status_code == 200
        assert receiver.deliver(event_body(2), signature=None).status_code == 401
        receiver.stop()
        wait_until(lambda: statsd.total(metrics.DELIVERIES) == 3)
        wait_until(lambda: statsd.total(metrics.LAST_SEQ, store="default") == 1)
        wait_until(lambda: statsd.total(metrics.APPEND) >= 1)
        outcomes = {one.tag("outcome"): one.value for one in statsd.arrived(metrics.DELIVERIES.name)}
        assert outcomes == {"stored": 1, "duplicate": 1, "unsigned": 1}
        assert catalogue_faults(statsd.arrived()) == []
