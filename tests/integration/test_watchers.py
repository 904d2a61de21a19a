"""DAGs that run on events by filters of their own, and a stop that calls an endpoint once, in a real Airflow."""

from __future__ import annotations

import json
import random
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.airflow_home import AirflowHome
from support.webhook_events import EVENT_WORKSPACE, change_event

from airflow_provider_toggl.core.events.model import NewEvent
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore

DAGS = Path(__file__).parents[1] / "integration_dags"
RUNNING: dict[str, Any] = {"duration": -1, "stop": None}
STOPPED: dict[str, Any] = {"duration": 3600, "stop": "2026-05-02T11:00:00Z"}

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]


class Toggl:
    """Makes the events of a workspace whose changes are a second apart."""

    def __init__(self) -> None:
        self._count = 0
        self._began = datetime.now(timezone.utc) - timedelta(minutes=30)

    def event(self, entry: int, action: str = "updated", **fields: Any) -> NewEvent:
        self._count += 1
        at = self._began + timedelta(seconds=self._count)
        return change_event(self._count, action=action, created_at=at, id=entry, at=at.isoformat(), **fields)


@contextmanager
def running(tmp_path: Path, *files: Path, **env: str) -> Iterator[tuple[AirflowHome, SqliteEventStore]]:
    """Yield an Airflow that has these DAG files, and its event store."""
    dags, notes = tmp_path / "dags", tmp_path / "notes"
    for folder in (dags, notes):
        folder.mkdir()
    for file in files:
        shutil.copy(file, dags)
    with (
        AirflowHome(tmp_path / "airflow", dags=dags, env={**env, "TEST_NOTES": str(notes)}) as home,
        SqliteEventStore(home.path / "toggl" / "events.sqlite") as store,
    ):
        store.prepare()
        prepare(home)
        home.start()
        yield home, store


def prepare(home: AirflowHome) -> None:
    """Let it soon notice what changed, and take over what a triggerer left that was killed."""
    home.env |= {
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
        "AIRFLOW__SCHEDULER__PARSING_CLEANUP_INTERVAL": "5",
        "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "1",
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "4",
    }
    home.set_connection("toggl_default", {"conn_type": "toggl", "password": "a-secret-token"})


def switch_on(home: AirflowHome, *dag_ids: str) -> None:
    for dag_id in dag_ids:
        home.wait_until(lambda dag_id=dag_id: home.is_parsed(dag_id), timeout=90, what=f"DAG {dag_id}")  # type: ignore[misc]
        home.api("PATCH", f"/dags/{dag_id}", json={"is_paused": False})


def noted(home: AirflowHome, dag_id: str) -> list[dict[str, Any]]:
    """Return the bursts that all runs of a DAG were started by."""
    paths = sorted(Path(home.env["TEST_NOTES"]).glob(f"{dag_id}.*"))
    return [burst for path in paths for burst in json.loads(path.read_text() or "[]")]


@pytest.mark.newest
def test_two_dags_with_filters_of_their_own_run_for_their_events_only_and_once(tmp_path: Path):
    files = [DAGS / f"{name}.py" for name in ("noting", "watch_project", "watch_stops", "watch_stops_too")]
    with running(tmp_path, *files) as (home, store):
        check_filters(home, store)


def check_filters(home: AirflowHome, store: SqliteEventStore) -> None:
    switch_on(home, "watch_project", "watch_stops", "watch_stops_too")
    for name in ("project_8", "stops"):
        consumer = f"toggl://{EVENT_WORKSPACE}/events/{name}"
        home.wait_until(lambda name=consumer: store.find_consumer(name), timeout=120, what=name)  # type: ignore[misc]
    toggl = Toggl()
    events = [
        toggl.event(1, "created", **RUNNING, project_id=9),
        toggl.event(2, "created", **RUNNING, project_id=7),
        toggl.event(2, **STOPPED, project_id=7),
        toggl.event(1, **RUNNING, project_id=9, description="renamed"),
        toggl.event(1, **STOPPED, project_id=9),  # a stop, at place 5
        toggl.event(1, **STOPPED, project_id=9, description="edited"),
        toggl.event(3, "created", **STOPPED, project_id=8),  # of project 8, at place 7, and no stop
        toggl.event(4, "created", **RUNNING, project_id=8),  # of project 8, at place 8
        toggl.event(4, **STOPPED, project_id=8),  # of project 8, and a stop, at place 9
    ]
    for event in events:
        store.append([event])
    # What ends the test comes after all that must not have come.
    home.wait_until(lambda: last(home, "watch_project") == 9, timeout=120, what="the run for project 8")
    home.wait_until(lambda: last(home, "watch_stops") == 9, timeout=120, what="the run for the stops")
    home.wait_until(lambda: last(home, "watch_stops_too") == 9, timeout=120, what="the other run for the stops")
    assert summary(noted(home, "watch_project")) == (3, {3, 4}, {})
    for dag_id in ("watch_stops", "watch_stops_too"):
        assert summary(noted(home, dag_id)) == (2, {1, 4}, {"stopped": 2})


def last(home: AirflowHome, dag_id: str) -> int:
    """Return the last place that a DAG was told of."""
    return max((burst["last_seq"] for burst in noted(home, dag_id)), default=0)


def summary(bursts: list[dict[str, Any]]) -> tuple[int, set[int], dict[str, int]]:
    """Return how many events were told, of which entries, and how many of each transition."""
    transitions: dict[str, int] = {}
    for burst in bursts:
        for word, count in burst.get("transitions", {}).items():
            transitions[word] = transitions.get(word, 0) + count
    ids = {one for burst in bursts for one in burst["ids"].get("time_entry", [])}
    return sum(burst["count"] for burst in bursts), ids, transitions


@pytest.mark.newest
def test_one_name_with_two_filters_in_two_files_runs_for_one_of_them_and_warns_of_the_other(tmp_path: Path):
    files = [DAGS / f"{name}.py" for name in ("noting", "watch_stops", "watch_other_stops")]
    with running(tmp_path, *files) as (home, store):
        check_conflict(home, store)


def check_conflict(home: AirflowHome, store: SqliteEventStore) -> None:
    dags = ("watch_stops", "watch_other_stops")
    switch_on(home, *dags)

    def warned() -> set[str]:
        return {warning["dag_id"] for warning in home.api("GET", "/dagWarnings")["dag_warnings"]}

    wrong = home.wait_until(lambda: warned() & set(dags), timeout=120, what="the warning")
    assert len(wrong) == 1
    (right,) = set(dags) - wrong
    consumer = f"toggl://{EVENT_WORKSPACE}/events/stops"
    home.wait_until(lambda: store.find_consumer(consumer), timeout=120, what="the watcher")
    toggl = Toggl()
    store.append([toggl.event(1, "created", **RUNNING, project_id=9)])
    store.append([toggl.event(1, **STOPPED, project_id=9), toggl.event(2, entity="project")])
    home.wait_until(lambda: noted(home, right), timeout=120, what="the run")
    (burst,) = noted(home, right)
    assert burst["entities"] == ({"time_entry": 1} if right == "watch_stops" else {"project": 1})
    assert not noted(home, wrong.pop())


class Endpoint:
    """An HTTP server that keeps what it was sent."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, str]] = []
        calls = self.calls

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                calls.append((body["time_entry_id"], self.headers["Idempotency-Key"]))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Endpoint:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.mark.newest
def test_the_endpoint_is_called_once_for_each_stop_though_triggerers_are_killed(tmp_path: Path):
    example = DAGS.parents[1] / "docs" / "examples" / "call_endpoint.py"
    chance, toggl = random.Random(7), Toggl()
    with (
        Endpoint() as endpoint,
        running(tmp_path, example, ENDPOINT=endpoint.url, TOGGL_PROJECT_ID="9") as (home, store),
    ):
        switch_on(home, "call_endpoint")
        expected = []
        for entry in range(1, 5):
            store.append([toggl.event(entry, "created", **RUNNING, project_id=9)])
            store.append([toggl.event(entry + 100, "created", **RUNNING, project_id=8)])
            home.wait_until(lambda: is_waiting(home), timeout=120, what="the sensor to wait")
            away = chance.random() < 0.5
            if away:
                home.stop("triggerer", timeout=0)
            stop = toggl.event(entry, **STOPPED, project_id=9)
            store.append([toggl.event(entry + 100, **STOPPED, project_id=8), stop])
            if not away:
                home.stop("triggerer", timeout=0)  # while it may be ending the wait
            # The same again, late and as a copy, and an edit.
            store.append([toggl.event(entry, **STOPPED, project_id=9, description="edited")])
            store.append([change_again(stop, store.last_seq())])
            home.start("triggerer")
            expected.append((entry, str(stop.event_id)))
            home.wait_until(lambda: len(endpoint.calls) >= len(expected), timeout=120, what="the call")
        home.wait_until(lambda: is_waiting(home), timeout=120, what="the sensor to wait for more")
        assert endpoint.calls == expected


def change_again(event: NewEvent, place: int) -> NewEvent:
    """Return a copy that a person has asked for."""
    return replace(event, received_at=datetime.now(timezone.utc), copy_of=place)


def is_waiting(home: AirflowHome) -> bool:
    runs = home.api("GET", "/dags/call_endpoint/dagRuns", params={"order_by": "-run_after", "limit": 1})["dag_runs"]
    if not runs or runs[0]["state"] != "running":
        return False
    path = f"/dags/call_endpoint/dagRuns/{runs[0]['dag_run_id']}/taskInstances"
    states = {task["task_id"]: task["state"] for task in home.api("GET", path)["task_instances"]}
    return states.get("stopped") == "deferred"
