from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from support.connections import Connections
from support.event_stores import RECEIVED, new_event

from airflow_provider_toggl.__main__ import main
from airflow_provider_toggl.cli import events
from airflow_provider_toggl.cli.events import follow
from airflow_provider_toggl.core.errors import EventStoreUnavailable
from airflow_provider_toggl.core.events.filters import EventFilter
from airflow_provider_toggl.core.events.model import NewEvent, StoredEvent
from airflow_provider_toggl.core.events.search import EventQuery
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore

pytestmark = pytest.mark.airflow

LONG_AGO = RECEIVED - timedelta(days=4000)


def call(*arguments: str) -> int:
    return main(["events", *arguments])


@pytest.fixture
def store(connections: Connections, tmp_path: Path) -> SqliteEventStore:
    """The store of toggl_default, with three events."""
    path = tmp_path / "events.sqlite"
    connections.set("my_events", conn_type="sqlite", host=str(path))
    connections.set("toggl_default", conn_type="toggl", extra={"event_store_conn_id": "my_events"})
    store = SqliteEventStore(path)
    store.prepare()
    created_at = datetime(2026, 3, 2, 7, 59, 59, 827000, tzinfo=timezone.utc)
    full = {"entity": "time_entry", "action": "updated", "entity_id": 4300000000, "created_at": created_at}
    store.append([new_event(8023169274704072, body=b'{"a": "\xc3\xa4"}\n', **full), new_event(2**64)])
    store.append([new_event(3, received_at=LONG_AGO)])
    store.close()
    return SqliteEventStore(path)


def test_list_prints_one_json_object_a_line(store: SqliteEventStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("list", "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == {
        "seq": 1,
        "subscription_id": 10713,
        "event_id": 8023169274704072,
        "entity": "time_entry",
        "action": "updated",
        "entity_id": 4300000000,
        "created_at": "2026-03-02T07:59:59.827000Z",
        "received_at": "2026-03-02T08:00:00.123456Z",
    }
    assert list(lines[1]) == list(lines[0])
    assert lines[1]["event_id"] == 2**64
    assert (lines[1]["entity"], lines[1]["created_at"]) == (None, None)
    assert len(lines) == 3


def test_list_prints_a_table_from_a_seq_on(store: SqliteEventStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("list", "--after", "1") == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["seq", "received_at", "subscription_id", "event_id", "entity", "action", "entity_id"]
    assert [line.split()[0] for line in lines] == ["2", "3"]


def test_show_prints_the_body_byte_for_byte(store: SqliteEventStore, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert call("show", "1") == 0
    assert capfdbinary.readouterr().out == b'{"a": "\xc3\xa4"}\n'


def test_prune_removes_old_events_except_those_that_a_consumer_has_not_read(
    store: SqliteEventStore, capsys: pytest.CaptureFixture[str]
) -> None:
    with store:
        store.commit("nightly", 2)
        assert call("prune", "--older-than", "3999d") == 0
        assert call("consumers") == 0
        assert call("consumers", "--json") == 0
        assert call("consumers", "--forget", "nightly") == 0
        assert call("prune", "--older-than", "3999d") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "0 removed, 3 kept"
    assert lines[1].split() == ["seq", "behind", "updated_at", "name"]
    assert [lines[2].split()[place] for place in (0, 1, 3)] == ["2", "1", "nightly"]
    consumer = json.loads(lines[3])
    assert (consumer["name"], consumer["seq"], consumer["behind"]) == ("nightly", 2, 1)
    assert lines[4:] == ["Consumer nightly was removed", "1 removed, 2 kept"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "9"], "no event 9"),
        (["prune", "--older-than", "soon"], "is no age"),
        (["count", "--conn-id", "nowhere_at_all"], "There is no connection 'nowhere_at_all'"),
    ],
)
def test_an_error_is_printed_on_standard_error(
    store: SqliteEventStore, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert call(*arguments) == 1
    printed = capsys.readouterr()
    assert words in printed.err
    assert printed.out == ""


@pytest.mark.parametrize("arguments", [["show", "-1"], ["show", str(2**63)], ["list", "--after", "x"], [], ["drop"]])
def test_wrong_arguments_exit_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        call(*arguments)


def test_without_a_connection_the_default_store_is_used(
    connections: Connections, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "state").mkdir()
    with SqliteEventStore(tmp_path / "state" / "events.sqlite") as store:
        store.prepare()
        store.append([new_event(1)])
    assert call("count") == 0
    assert capsys.readouterr().out == "1\n"


def test_standard_output_has_nothing_but_the_result(store: SqliteEventStore) -> None:
    command = [sys.executable, "-m", "airflow_provider_toggl", "events"]
    environment = {**os.environ, "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor"}
    done = subprocess.run([*command, "show", "1"], capture_output=True, check=False, env=environment)
    assert (done.returncode, done.stdout) == (0, b'{"a": "\xc3\xa4"}\n'), done.stderr


@pytest.mark.newest
def test_a_reader_may_close_the_pipe(store: SqliteEventStore) -> None:
    with store:
        store.append([new_event(number) for number in range(10, 3000)])
    command = [sys.executable, "-m", "airflow_provider_toggl", "events", "list", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["seq"] == 1
        process.stdout.close()
        assert process.wait(200) == 0
        assert b"Traceback" not in process.stderr.read()


# -- tail --------------------------------------------------------------------------------------------------------------


def change(number: int, *, entity: str = "time_entry", action: str = "created", project: int = 7) -> NewEvent:
    payload = {"id": number, "project_id": project}
    metadata = {"action": action, "model": entity}
    body = {"event_id": number, "subscription_id": 1, "metadata": metadata, "payload": payload}
    return new_event(number, body=json.dumps(body).encode(), entity=entity, action=action)


@pytest.fixture
def changes(connections: Connections, tmp_path: Path) -> Iterator[SqliteEventStore]:
    """The store of toggl_default, with four changes."""
    path = tmp_path / "changes.sqlite"
    connections.set("my_events", conn_type="sqlite", host=str(path))
    connections.set("toggl_default", conn_type="toggl", extra={"event_store_conn_id": "my_events"})
    with SqliteEventStore(path) as opened:
        opened.prepare()
        opened.append([change(1), change(2, entity="tag"), change(3, action="updated"), change(4, project=8)])
        yield opened


@pytest.mark.usefixtures("changes")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], [1, 2, 3, 4]),
        (["--after", "2"], [3, 4]),
        (["--entity", "time_entry"], [1, 3, 4]),
        (["--entity", "tag", "--entity", "time_entry", "--action", "created"], [1, 2, 4]),
        (["--project-id", "8"], [4]),
        (["--user-id", "1"], []),
    ],
)
def test_tail_once_prints_the_stored_matches(
    capsys: pytest.CaptureFixture[str], arguments: list[str], expected: list[int]
) -> None:
    assert call("tail", "--once", "--json", *arguments) == 0
    assert [json.loads(line)["event_id"] for line in capsys.readouterr().out.splitlines()] == expected


@pytest.mark.newest
@pytest.mark.timeout(120)
def test_tail_prints_new_matches_until_it_is_interrupted(changes: SqliteEventStore) -> None:
    command = [sys.executable, "-m", "airflow_provider_toggl", "events", "tail", "--action", "created"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().split()[:2] == ["seq", "received_at"]
        changes.append([change(5, action="updated"), change(6)])
        assert process.stdout.readline().split()[0] == "6"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "")
    assert "Traceback" not in err


def test_tail_misses_no_event_that_comes_just_after_the_heading(
    changes: SqliteEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed: list[int] = []

    def print_event(stored: StoredEvent, *, as_json: bool) -> None:
        printed.append(stored.event.event_id)
        raise KeyboardInterrupt

    monkeypatch.setattr(events, "_print_heading", lambda as_json: changes.append([change(9)]))
    monkeypatch.setattr(events, "_print_event", print_event)
    assert call("tail") == 0
    assert printed == [9]


class UnavailableAtFirst(SqliteEventStore):
    reads = 0

    def read(self, after: int, limit: int = 500) -> list[StoredEvent]:
        self.reads += 1
        if self.reads == 1:
            raise EventStoreUnavailable("The event store is down.")
        return super().read(after, limit)


@pytest.mark.parametrize("once", [True, False])
def test_tail_waits_for_an_unavailable_store_except_with_once(
    changes: SqliteEventStore, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, once: bool
) -> None:
    monkeypatch.setattr(events, "WAIT", 0.01)
    with UnavailableAtFirst(changes.path) as store:
        following = follow(store, EventQuery(EventFilter()), 2, once=once)
        if once:
            with pytest.raises(EventStoreUnavailable):
                next(following)
        else:
            assert next(following).event.event_id == 3
            assert "Trying again until the store can be read: The event store is down." in capsys.readouterr().err
