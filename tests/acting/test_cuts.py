"""A hundred writes whose outcome is lost in every way, and not one that is doubled or missing."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from support.connections import Connections
from support.task_attempts import Killed, TaskStateStore, run_attempts

from airflow_provider_toggl.core.client import idempotency, session, transport
from airflow_provider_toggl.core.client.retry import RetryPolicy
from airflow_provider_toggl.core.client.transport import RequestsTransport
from airflow_provider_toggl.operators.catalog import (
    TogglEnsureClientOperator,
    TogglEnsureProjectOperator,
    TogglEnsureTagOperator,
    TogglEnsureTaskOperator,
)
from airflow_provider_toggl.operators.entries import (
    TogglCreateTimeEntryOperator,
    TogglStartTimeEntryOperator,
    TogglStopTimeEntryOperator,
    TogglUpdateTimeEntryOperator,
)
from airflow_provider_toggl.sandbox.server import RunningSandbox, start_sandbox
from airflow_provider_toggl.sandbox.settings import Settings

pytestmark = [pytest.mark.airflow, pytest.mark.newest]

WRITES = 100
START, STOP = "2026-11-20T08:00:00Z", "2026-11-20T09:00:00Z"
#: How long the client of this test waits for an answer, in seconds.
PATIENT = 0.4


@pytest.fixture
def toggl(connections: Connections) -> Iterator[RunningSandbox]:
    with start_sandbox(entries=20, days=5, settings=Settings(plan="starter", quota_enforced=False)) as running:
        connections.toggl(running)
        yield running


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that are for Toggl to come to itself are short here."""
    monkeypatch.setattr(idempotency, "LOOKUP_DELAYS", (0.0, 0.02))
    monkeypatch.setattr(session, "RetryPolicy", functools.partial(RetryPolicy, base=0.01))
    monkeypatch.setattr(transport, "TIMEOUTS", (5.0, PATIENT))


class Troubles:
    """What befalls the next write, by name."""

    def __init__(self, toggl: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        self._toggl = toggl
        self._kill: str | None = None
        send = RequestsTransport.send

        def send_and_die(sender: RequestsTransport, call: Any) -> Any:
            if call.method == "GET" or self._kill is None:
                return send(sender, call)
            kill, self._kill = self._kill, None
            if kill == "answered":
                send(sender, call)
            raise Killed

        monkeypatch.setattr(RequestsTransport, "send", send_and_die)

    def order(self, name: str) -> None:
        """Let the next write meet with it."""
        match = {"path": "workspaces", "method": None}
        faults: dict[str, dict[str, Any]] = {
            "cut after": {"kind": "hang_up", "takes_effect": True},
            "cut before": {"kind": "hang_up", "takes_effect": False},
            "cut within the headers' body": {"kind": "cut", "fraction": 0.0},
            "cut within the answer": {"kind": "cut", "fraction": 0.5},
            "5xx after": {"kind": "status", "status": 502, "takes_effect": True},
            "5xx before": {"kind": "status", "status": 503, "takes_effect": False},
            "delayed": {"kind": "slow", "seconds": PATIENT + 0.3},
            "not json": {"kind": "not_json"},
        }
        if name.startswith("killed"):
            self._kill = name.removeprefix("killed ")
        else:
            fault = dict(faults[name])
            for method in self.methods:
                self._toggl.fault(fault.pop("kind"), **fault, match={**match, "method": method})

    methods: tuple[str, ...] = ("POST",)


NAMES = (
    "cut after",
    "cut before",
    "cut within the headers' body",
    "cut within the answer",
    "5xx after",
    "5xx before",
    "delayed",
    "not json",
    "killed unanswered",
    "killed answered",
)
KINDS = ("create", "start", "project", "client", "tag", "task", "stop", "update")


def begin(toggl: RunningSandbox, number: int) -> int:
    """Start an entry by other means; return its id."""
    entry = {"created_with": "test", "description": f"begun {number}", "workspace_id": toggl.workspace_id}
    url = f"{toggl.url}/api/v9/workspaces/{toggl.workspace_id}/time_entries"
    body = {**entry, "start": START, "duration": -1}
    answer = requests.post(url, json=body, auth=(toggl.token, "api_token"), timeout=30)
    answer.raise_for_status()
    return int(answer.json()["id"])


def operator_of(kind: str, number: int, begun: int | None, project_id: int) -> Any:
    name, task_id = f"{kind} {number}", f"write_{number}"
    entry = {"task_id": task_id, "description": name, "tags": f"cut,{number}", "project_id": project_id}
    builders: dict[str, Callable[[], Any]] = {
        "create": lambda: TogglCreateTimeEntryOperator(start=START, stop=STOP, **entry),
        "start": lambda: TogglStartTimeEntryOperator(**entry),
        "project": lambda: TogglEnsureProjectOperator(task_id=task_id, name=name),
        "client": lambda: TogglEnsureClientOperator(task_id=task_id, name=name),
        "tag": lambda: TogglEnsureTagOperator(task_id=task_id, name=name),
        "task": lambda: TogglEnsureTaskOperator(task_id=task_id, name=name, project_id=project_id),
        "stop": lambda: TogglStopTimeEntryOperator(task_id=task_id, time_entry_id=str(begun)),
        "update": lambda: TogglUpdateTimeEntryOperator(
            task_id=task_id, time_entry_id=str(begun), changes={"description": name, "stop": STOP}
        ),
    }
    return builders[kind]


def live(toggl: RunningSandbox, stream: str) -> list[dict[str, Any]]:
    return [row for row in toggl.truth(stream) if row["deleted_at"] is None]


class Hosts:
    """The hosts on which tries run: each next one has an empty disk and another name."""

    def __init__(self, connections: Connections, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self._connections = connections
        self._monkeypatch = monkeypatch
        self._folder = folder
        self._number = 0

    def next(self) -> None:
        self._number += 1
        name = f"host-{self._number}"
        self._connections.set_option("state_dir", str(self._folder / name))
        self._monkeypatch.setattr("socket.gethostname", lambda: name)


@pytest.fixture
def hosts(
    toggl: RunningSandbox,
    connections: Connections,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    postgres_fields: dict[str, Any],
) -> Hosts:
    """Hosts that share a PostgreSQL database."""
    connections.set("shared", **postgres_fields)
    connections.toggl(toggl, event_store_conn_id="shared")
    connections.set_option("single_host", "False")
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    return Hosts(connections, monkeypatch, tmp_path / "hosts")


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("where", ["on one host", "each try on another host"])
def test_a_hundred_writes_with_lost_responses_take_effect_once(
    toggl: RunningSandbox, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, where: str
):
    between = (lambda: None) if where == "on one host" else request.getfixturevalue("hosts").next
    before = {stream: len(live(toggl, stream)) for stream in ("time_entries", "projects", "clients", "tasks")}
    project_id = next(row["id"] for row in live(toggl, "projects") if row["active"])
    troubles = Troubles(toggl, monkeypatch)
    asked: Counter[str] = Counter()
    for number in range(WRITES):
        kind, trouble = KINDS[number % len(KINDS)], NAMES[(number // len(KINDS) + number) % len(NAMES)]
        begun = begin(toggl, number) if kind in ("stop", "update") else None
        troubles.methods = {"stop": ("PATCH",), "update": ("PUT",)}.get(kind, ("POST",))
        troubles.order(trouble)
        # As of Airflow 3.3, and of 3.2, which keeps no state of a task.
        store = TaskStateStore() if number % 3 == 0 else None
        between()
        result = run_attempts(operator_of(kind, number, begun, project_id), store=store, between=between)
        asked[kind] += 1
        assert isinstance(result["id"], int), (kind, trouble)
        toggl.clear_faults()
    entries = live(toggl, "time_entries")
    assert len(entries) == before["time_entries"] + sum(asked[kind] for kind in ("create", "start", "stop", "update"))
    names = Counter(row["description"] for row in entries)
    for number in range(WRITES):
        kind = KINDS[number % len(KINDS)]
        if kind in ("create", "start", "update"):
            assert names[f"{kind} {number}"] == 1, (kind, number)
        elif kind == "stop":
            (stopped,) = [row for row in entries if row["description"] == f"begun {number}"]
            assert stopped["stop"] is not None
        else:
            assert [row["name"] for row in live(toggl, f"{kind}s")].count(f"{kind} {number}") == 1
    for kind in ("project", "client", "task"):
        assert len(live(toggl, f"{kind}s")) == before[f"{kind}s"] + asked[kind]


def test_a_write_that_is_carried_out_after_its_connection_was_cut_is_found(
    toggl: RunningSandbox, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(idempotency, "LOOKUP_DELAYS", (0.0, 1.0))
    toggl.fault("hang_up", late_seconds=0.2, match={"method": "POST"})
    result = run_attempts(
        lambda: TogglCreateTimeEntryOperator(task_id="late", start=START, stop=STOP, description="late")
    )
    assert result["action"] == "found"
    assert [row["description"] for row in live(toggl, "time_entries")].count("late") == 1
