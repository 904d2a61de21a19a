from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from support.connections import Connections
from support.event_stores import RECEIVED, new_event

from airflow_provider_toggl.cli.events import add_arguments, run
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore

pytestmark = pytest.mark.airflow

LONG_AGO = RECEIVED - timedelta(days=4000)


def call(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args(arguments))


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


def test_json_is_an_object_a_line_with_these_keys(store: SqliteEventStore, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_listing_begins_after_a_number(store: SqliteEventStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("list", "--json", "--after", "2") == 0
    assert [json.loads(line)["seq"] for line in capsys.readouterr().out.splitlines()] == [3]


def test_a_table_has_a_line_for_each_event(store: SqliteEventStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("list") == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["seq", "received_at", "subscription_id", "event_id", "entity", "action", "entity_id"]
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]


def test_more_events_than_are_read_at_once_are_all_listed(
    store: SqliteEventStore, capsys: pytest.CaptureFixture[str]
) -> None:
    with store:
        store.append([new_event(number) for number in range(10, 1210)])
    assert call("list", "--json") == 0
    assert [json.loads(line)["seq"] for line in capsys.readouterr().out.splitlines()] == list(range(1, 1204))


def test_the_count_is_a_number(store: SqliteEventStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("count") == 0
    assert capsys.readouterr().out == "3\n"


def test_the_bytes_of_an_event_are_shown_as_they_came(
    store: SqliteEventStore, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert call("show", "1") == 0
    assert capfdbinary.readouterr().out == b'{"a": "\xc3\xa4"}\n'


def test_old_events_are_removed_but_not_what_a_consumer_waits_for(
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
    told = json.loads(lines[3])
    assert (told["name"], told["seq"], told["behind"]) == ("nightly", 2, 1)
    assert lines[4:] == ["nightly is forgotten", "1 removed, 2 kept"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "9"], "no event 9"),
        (["prune", "--older-than", "soon"], "is no age"),
        (["count", "--conn-id", "nowhere_at_all"], "There is no connection 'nowhere_at_all'"),
    ],
)
def test_what_cannot_be_done_is_said_on_standard_error(
    store: SqliteEventStore, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert call(*arguments) == 1
    printed = capsys.readouterr()
    assert words in printed.err
    assert printed.out == ""


@pytest.mark.parametrize("arguments", [["show", "-1"], ["show", str(2**63)], ["list", "--after", "x"], [], ["drop"]])
def test_arguments_that_mean_nothing_end_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        call(*arguments)


def test_without_any_connection_it_is_the_default_store(
    connections: Connections, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "state").mkdir()
    with SqliteEventStore(tmp_path / "state" / "events.sqlite") as store:
        store.prepare()
        store.append([new_event(1)])
    assert call("count") == 0
    assert capsys.readouterr().out == "1\n"


def test_from_the_shell_only_what_was_asked_for_is_on_standard_output(store: SqliteEventStore) -> None:
    command = [sys.executable, "-m", "airflow_provider_toggl", "events"]
    environment = {**os.environ, "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor"}
    done = subprocess.run([*command, "show", "1"], capture_output=True, check=False, env=environment)
    assert (done.returncode, done.stdout) == (0, b'{"a": "\xc3\xa4"}\n'), done.stderr


def test_one_who_reads_only_the_first_lines_is_no_error(store: SqliteEventStore) -> None:
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
