from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from support.connections import Connections

from airflow_provider_toggl.__main__ import main
from airflow_provider_toggl.core.operate.health.waiting import WaitingTask
from airflow_provider_toggl.hooks.activity import (
    approve_mass_deletion,
    record_load,
    record_reconciliation,
    record_waiting,
)
from airflow_provider_toggl.hooks.warehouse import open_warehouse

pytestmark = pytest.mark.airflow


def call(*arguments: str) -> int:
    return main(["status", *arguments])


@pytest.fixture(autouse=True)
def _connected(connections: Connections) -> None:
    connections.set("toggl_default", conn_type="toggl", password="secret-token" * 3, extra={"workspace_id": 1})


def test_each_part_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    record_load("toggl_default", workspace_id=1, stream="tags", watermark="2026-01-01T00:00:00Z", warehouse="a.b")
    approve_mass_deletion("toggl_default", 1, by="somebody")
    assert call() == 1
    printed = capsys.readouterr().out
    assert "toggl_default" in printed
    assert re.search(r"^toggl_default  warning  \(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\)$", printed, re.MULTILINE)
    assert re.search(r"^  -     subscription    no webhooks$", printed, re.MULTILINE)
    assert re.search(r"^  WARN  freshness       1 stream, oldest tags in a\.b, \d+ d ago$", printed, re.MULTILINE)
    assert re.search(r"^  WARN  reconciliation  mass deletion approved in 1$", printed, re.MULTILINE)
    assert "tags" in printed
    assert "secret-token" not in printed


def test_a_skipped_stream_is_named_with_its_reason_and_is_no_problem(capsys: pytest.CaptureFixture[str]) -> None:
    skipped = {"workspace_id": 1, "stream": "timesheets", "watermark": None, "warehouse": "a.b"}
    record_load("toggl_default", **skipped, skipped="timesheets is not part of the plan.")
    assert call() == 0
    printed = capsys.readouterr().out
    assert re.search(r"^  -     freshness       no stream loaded yet; skipped: timesheets$", printed, re.MULTILINE)
    assert re.search(r"^  timesheets       a\.b  +skipped ", printed, re.MULTILINE)
    assert "  skipped: timesheets is not part of the plan." in printed


def test_without_a_problem_the_exit_status_is_0(capsys: pytest.CaptureFixture[str]) -> None:
    record_reconciliation("toggl_default", {"workspace_id": 1, "entries": 7}, warehouse="a.b")
    assert call("--conn-id", "toggl_default", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["conn_id"], printed["status"]) == ("toggl_default", "ok")
    assert printed["reconciliations"][0]["entries"] == 7


def test_a_missing_connection_is_a_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--conn-id", "nope") == 1
    assert "FAULT connection      There is no connection 'nope'" in capsys.readouterr().out


def test_a_first_load_that_waits_for_the_quota_is_no_problem(capsys: pytest.CaptureFixture[str]) -> None:
    now = datetime.now(timezone.utc)
    waiting = WaitingTask("toggl.entries (r)", 1, "time_entries", "quota", now, now + timedelta(hours=1), 28, 35, None)
    record_waiting("toggl_default", replace(waiting, rows_done=28_000))
    assert call() == 0
    printed = capsys.readouterr().out
    assert re.search(r"^toggl_default  waiting ", printed)
    assert "wait  freshness       first load of time_entries, 28,000 rows so far" in printed
    assert "wait  quota           1 task waiting" in printed
    assert "toggl.entries (r) waits for the hourly quota of Toggl" in printed


def test_freshness_is_read_from_a_warehouse_on_request(
    connections: Connections, capsys: pytest.CaptureFixture[str]
) -> None:
    connections.duckdb()
    open_warehouse("duckdb_default", schema="toggl").close()
    assert call("--json", "--warehouse-conn-id", "duckdb_default") == 0
    assert json.loads(capsys.readouterr().out)["streams"] == []
    assert call("--warehouse-conn-id", "nowhere") == 1
    captured = capsys.readouterr()
    assert re.search(r"\?     freshness       There is no connection 'nowhere'", captured.out)
    assert "There is no connection 'nowhere'" in captured.err


def test_without_a_connection_a_message_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_TOGGL_DEFAULT")
    assert call() == 0
    assert "No connection of type toggl" in capsys.readouterr().err
