from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.connections import Connections
from support.event_stores import new_event

from airflow_provider_toggl.cli.events import add_arguments, run
from airflow_provider_toggl.cli.tailing import follow, tail
from airflow_provider_toggl.core.errors import EventStoreUnavailable
from airflow_provider_toggl.core.events.filters import EventFilter
from airflow_provider_toggl.core.events.model import NewEvent, StoredEvent
from airflow_provider_toggl.core.events.search import EventQuery
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(120)]


def change(number: int, *, entity: str = "time_entry", action: str = "created", project: int = 7) -> NewEvent:
    payload = {"id": number, "project_id": project}
    metadata = {"action": action, "model": entity}
    body = {"event_id": number, "subscription_id": 1, "metadata": metadata, "payload": payload}
    return new_event(number, body=json.dumps(body).encode(), entity=entity, action=action)


@pytest.fixture
def store(connections: Connections, tmp_path: Path) -> Iterator[SqliteEventStore]:
    path = tmp_path / "events.sqlite"
    connections.set("my_events", conn_type="sqlite", host=str(path))
    connections.set("toggl_default", conn_type="toggl", extra={"event_store_conn_id": "my_events"})
    with SqliteEventStore(path) as opened:
        opened.prepare()
        opened.append([change(1), change(2, entity="tag"), change(3, action="updated"), change(4, project=8)])
        yield opened


def tailed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[int]:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert run(parser.parse_args(["tail", "--once", "--json", *arguments])) == 0
    return [json.loads(line)["event_id"] for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("arguments", "seen"),
    [
        ([], [1, 2, 3, 4]),
        (["--after", "2"], [3, 4]),
        (["--entity", "time_entry"], [1, 3, 4]),
        (["--entity", "tag", "--entity", "time_entry", "--action", "created"], [1, 2, 4]),
        (["--project-id", "8"], [4]),
        (["--user-id", "1"], []),
    ],
)
def test_what_is_there_and_wanted_is_printed_once(
    store: SqliteEventStore, capsys: pytest.CaptureFixture[str], arguments: list[str], seen: list[int]
) -> None:
    assert tailed(capsys, *arguments) == seen


def test_it_follows_what_comes_until_it_is_interrupted(store: SqliteEventStore) -> None:
    command = [sys.executable, "-m", "airflow_provider_toggl", "events", "tail", "--action", "created"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().split()[:2] == ["seq", "received_at"]
        store.append([change(5, action="updated"), change(6)])
        assert process.stdout.readline().split()[0] == "6"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "")
    assert "Traceback" not in err


def test_an_event_that_comes_just_after_the_heading_is_seen(store: SqliteEventStore) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    described: list[int] = []

    def heading() -> None:
        store.append([change(9)])

    def describe(stored: StoredEvent) -> dict[str, object]:
        described.append(stored.event.event_id)
        raise KeyboardInterrupt

    tail(store, parser.parse_args(["tail"]), describe=describe, table="", heading=heading)
    assert described == [9]


class Away(SqliteEventStore):
    """A store that cannot be read the first time."""

    asked = 0

    def read(self, after: int, limit: int = 500) -> list[StoredEvent]:
        self.asked += 1
        if self.asked == 1:
            raise EventStoreUnavailable("The event store is away.")
        return super().read(after, limit)


def test_a_store_that_is_away_is_waited_for(store: SqliteEventStore, capsys: pytest.CaptureFixture[str]) -> None:
    with Away(store.path) as away:
        assert next(follow(away, EventQuery(EventFilter()), 2)).event.event_id == 3
    assert "Trying again until it can be read: The event store is away." in capsys.readouterr().err


def test_once_does_not_wait(store: SqliteEventStore) -> None:
    with Away(store.path) as away, pytest.raises(EventStoreUnavailable):
        next(follow(away, EventQuery(EventFilter()), 2, once=True))
