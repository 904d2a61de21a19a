from __future__ import annotations

import argparse
import json
import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from support.connections import Connections

from airflow_provider_toggl.cli.status import add_arguments, run
from airflow_provider_toggl.core.operate.health.waiting import WaitingTask
from airflow_provider_toggl.hooks.activity import (
    approve_mass_deletion,
    record_load,
    record_reconciliation,
    record_waiting,
)
from airflow_provider_toggl.hooks.warehouse import open_target

pytestmark = pytest.mark.airflow


def call(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args(arguments))


@pytest.fixture(autouse=True)
def _connected(connections: Connections) -> None:
    connections.set("toggl_default", conn_type="toggl", password="secret-token" * 3, extra={"workspace_id": 1})


def test_health_is_told_to_people_part_by_part(capsys: pytest.CaptureFixture[str]) -> None:
    record_load("toggl_default", workspace_id=1, stream="tags", watermark="2026-01-01T00:00:00Z", warehouse="a.b")
    approve_mass_deletion("toggl_default", 1, by="somebody")
    assert call() == 1
    printed = capsys.readouterr().out
    assert "toggl_default" in printed
    assert re.search(r"^toggl_default  attention  \(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\)$", printed, re.MULTILINE)
    assert re.search(r"^  -     subscription    no webhooks$", printed, re.MULTILINE)
    assert re.search(r"^  WARN  freshness       1 stream, oldest tags in a\.b, \d+ d ago$", printed, re.MULTILINE)
    assert re.search(r"^  WARN  reconciliation  the next reconciliation of workspace 1", printed, re.MULTILINE)
    assert "tags" in printed
    assert "secret-token" not in printed


def test_nothing_that_waits_for_a_person_is_a_success(capsys: pytest.CaptureFixture[str]) -> None:
    record_reconciliation("toggl_default", {"workspace_id": 1, "entries": 7}, warehouse="a.b")
    assert call("--conn-id", "toggl_default", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["conn_id"], told["level"], told["reconciled"][0]["entries"]) == ("toggl_default", "good", 7)


def test_a_connection_that_is_not_there_waits_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--conn-id", "nope") == 1
    assert "WARN  connection      There is no connection 'nope'" in capsys.readouterr().out


def test_a_first_load_that_waits_for_the_quota_is_said_and_needs_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    now = datetime.now(timezone.utc)
    waiting = WaitingTask("toggl.entries (r)", 1, "time_entries", "quota", now, now + timedelta(hours=1), 28, 35, None)
    record_waiting("toggl_default", replace(waiting, rows_done=28_000))
    assert call() == 0
    printed = capsys.readouterr().out
    assert re.search(r"^toggl_default  waiting ", printed)
    assert "wait  freshness       first load of time_entries, 28,000 rows so far" in printed
    assert "wait  quota           1 task waiting" in printed
    assert "toggl.entries (r) waits for the hourly quota of Toggl" in printed


def test_a_warehouse_is_read_where_it_is_asked_for(
    connections: Connections, capsys: pytest.CaptureFixture[str]
) -> None:
    connections.duckdb()
    open_target("duckdb_default", schema="toggl").close()
    assert call("--json", "--warehouse-conn-id", "duckdb_default") == 0
    assert json.loads(capsys.readouterr().out)["streams"] == []
    assert call("--warehouse-conn-id", "nowhere") == 1
    captured = capsys.readouterr()
    assert re.search(r"\?     freshness       There is no connection 'nowhere'", captured.out)
    assert "There is no connection 'nowhere'" in captured.err


def test_without_a_connection_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_TOGGL_DEFAULT")
    assert call() == 0
    assert "no connection of type toggl" in capsys.readouterr().err
