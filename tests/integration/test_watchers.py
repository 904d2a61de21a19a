"""DAGs that run on events by filters of their own, and a stop that calls an endpoint once, in a real Airflow."""

from __future__ import annotations

import itertools
import json
import random
import threading
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.airflow_home import AirflowHome
from support.webhook_events import EVENT_WORKSPACE, change_event

from airflow_provider_toggl.core.events.filters import EventFilter
from airflow_provider_toggl.core.events.model import NewEvent
from airflow_provider_toggl.core.events.search import EventQuery
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore

RUNNING: dict[str, Any] = {"duration": -1, "stop": None}
STOPPED: dict[str, Any] = {"duration": 3600, "stop": "2026-05-02T11:00:00Z"}
STOPS = EventQuery(EventFilter.from_dict({"transitions": "stopped"}))

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900), pytest.mark.xdist_group("airflow")]


class Toggl:
    """Makes the events of a workspace whose changes are a second apart.

    No two tests have an event or an entry in common. Whether an event is an entry's stop depends on the versions in the
    store, and those of another test may be later by Toggl's clock. Then a sensor waits in vain.
    """

    numbers = itertools.count(100_000)
    entries = itertools.count(1_000_000)

    def __init__(self) -> None:
        self._at = datetime.now(timezone.utc) - timedelta(minutes=30)

    def new_entries(self, count: int) -> list[int]:
        """Return the IDs of entries that no other test has."""
        return list(itertools.islice(self.entries, count))

    def event(self, entry: int, action: str = "updated", **fields: Any) -> NewEvent:
        self._at += timedelta(seconds=1)
        at = self._at
        return change_event(next(self.numbers), action=action, created_at=at, id=entry, at=at.isoformat(), **fields)


def received(home: AirflowHome, dag_id: str) -> list[dict[str, Any]]:
    """Return the batches of changes that started the runs of a DAG."""
    paths = sorted(Path(home.env["TEST_NOTES"]).glob(f"{dag_id}.*"))
    return [batch for path in paths for batch in json.loads(path.read_text() or "[]")]


@pytest.mark.newest
def test_two_dags_with_filters_of_their_own_run_for_their_events_only_and_once(
    home: AirflowHome, store: SqliteEventStore
):
    home.switch_on("watch_project", "watch_stops", "watch_stops_too")
    for name in ("project_8", "stops"):
        consumer = f"toggl://{EVENT_WORKSPACE}/events/{name}"
        home.wait_until(lambda name=consumer: store.find_consumer(name), timeout=120, what=name)  # type: ignore[misc]
    toggl = Toggl()
    one, two, three, four = toggl.new_entries(4)
    events = [
        toggl.event(one, "created", **RUNNING, project_id=9),
        toggl.event(two, "created", **RUNNING, project_id=7),
        toggl.event(two, **STOPPED, project_id=7),
        toggl.event(one, **RUNNING, project_id=9, description="renamed"),
        toggl.event(one, **STOPPED, project_id=9),  # a stop
        toggl.event(one, **STOPPED, project_id=9, description="edited"),
        toggl.event(three, "created", **STOPPED, project_id=8),  # of project 8, and no stop
        toggl.event(four, "created", **RUNNING, project_id=8),  # of project 8
        toggl.event(four, **STOPPED, project_id=8),  # of project 8, and a stop
    ]
    for event in events:
        (stored,) = store.append([event])
    # The awaited events are the last, so that unwanted ones would have arrived before.
    for dag_id in ("watch_project", "watch_stops", "watch_stops_too"):
        home.wait_until(lambda dag_id=dag_id: last(home, dag_id) == stored.seq, timeout=120, what=f"a run of {dag_id}")  # type: ignore[misc]
    assert summary(received(home, "watch_project")) == (3, {three, four}, {})
    for dag_id in ("watch_stops", "watch_stops_too"):
        assert summary(received(home, dag_id)) == (2, {one, four}, {"stopped": 2})


def last(home: AirflowHome, dag_id: str) -> int:
    """Return the last `seq` that runs of a DAG received."""
    return max((batch["last_seq"] for batch in received(home, dag_id)), default=0)


def summary(batches: list[dict[str, Any]]) -> tuple[int, set[int], dict[str, int]]:
    """Return the number of events, the IDs of their entries, and the number of each transition."""
    transitions: dict[str, int] = {}
    for batch in batches:
        for word, count in batch.get("transitions", {}).items():
            transitions[word] = transitions.get(word, 0) + count
    ids = {one for batch in batches for one in batch["ids"].get("time_entry", [])}
    return sum(batch["count"] for batch in batches), ids, transitions


@pytest.mark.newest
def test_one_name_with_two_filters_in_two_files_runs_for_one_of_them_and_warns_of_the_other(
    home: AirflowHome, store: SqliteEventStore
):
    dags = ("watch_ends", "watch_other_ends")
    home.switch_on(*dags)

    def warned() -> set[str]:
        return {warning["dag_id"] for warning in home.api("GET", "/dagWarnings")["dag_warnings"]}

    wrong = home.wait_until(lambda: warned() & set(dags), timeout=120, what="the warning")
    assert len(wrong) == 1
    (right,) = set(dags) - wrong
    consumer = f"toggl://{EVENT_WORKSPACE}/events/ends"
    home.wait_until(lambda: store.find_consumer(consumer), timeout=120, what="the watcher")
    toggl = Toggl()
    (entry,) = toggl.new_entries(1)
    store.append([toggl.event(entry, "created", **RUNNING, project_id=9)])
    store.append([toggl.event(entry, **STOPPED, project_id=9), toggl.event(2, entity="project")])
    home.wait_until(lambda: received(home, right), timeout=120, what="the run")
    (batch,) = received(home, right)
    assert batch["entities"] == ({"time_entry": 1} if right == "watch_ends" else {"project": 1})
    assert not received(home, wrong.pop())


class Endpoint:
    """An HTTP server that keeps the calls it received."""

    def __init__(self, port: int) -> None:
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

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)

    def __enter__(self) -> Endpoint:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.mark.soak
@pytest.mark.parametrize(
    "kills_before_the_stop",
    [
        pytest.param([True, False], id="few"),
        pytest.param([random.Random(number).random() < 0.5 for number in range(12)], id="many"),
    ],
)
def test_the_endpoint_is_called_once_for_each_stop_though_triggerers_are_killed(
    home: AirflowHome, store: SqliteEventStore, kills_before_the_stop: list[bool]
):
    toggl, project = Toggl(), int(home.env["TOGGL_PROJECT_ID"])
    with Endpoint(urlsplit(home.env["ENDPOINT"]).port or 0) as endpoint:
        home.switch_on("call_endpoint")
        expected = []
        for is_killed_before in kills_before_the_stop:
            entry, other = toggl.new_entries(2)
            store.append([toggl.event(entry, "created", **RUNNING, project_id=project)])
            store.append([toggl.event(other, "created", **RUNNING, project_id=project + 1)])
            home.wait_until(lambda: is_waiting(home), timeout=120, what="the sensor to wait")
            if is_killed_before:
                home.stop("triggerer", timeout=0)
            stop = toggl.event(entry, **STOPPED, project_id=project)
            _, stored = store.append([toggl.event(other, **STOPPED, project_id=project + 1), stop])
            assert STOPS.find_message(store.get(stored.seq), store), "A version in the store is later than this stop."
            if not is_killed_before:
                home.stop("triggerer", timeout=0)  # while it may be ending the wait
            # The same again, late and as a copy, and an edit.
            store.append([toggl.event(entry, **STOPPED, project_id=project, description="edited")])
            store.append([change_again(stop, store.last_seq())])
            home.start("triggerer")
            expected.append((entry, str(stop.event_id)))
            home.wait_until(lambda: len(endpoint.calls) >= len(expected), timeout=120, what="the call")
        home.wait_until(lambda: is_waiting(home), timeout=120, what="the sensor to wait for more")
        assert endpoint.calls == expected


def change_again(event: NewEvent, seq: int) -> NewEvent:
    """Return a copy as a replay makes it."""
    return replace(event, received_at=datetime.now(timezone.utc), copy_of=seq)


def is_waiting(home: AirflowHome) -> bool:
    runs = home.api("GET", "/dags/call_endpoint/dagRuns", params={"order_by": "-run_after", "limit": 1})["dag_runs"]
    if not runs or runs[0]["state"] != "running":
        return False
    path = f"/dags/call_endpoint/dagRuns/{runs[0]['dag_run_id']}/taskInstances"
    states = {task["task_id"]: task["state"] for task in home.api("GET", path)["task_instances"]}
    return states.get("stopped") == "deferred"
