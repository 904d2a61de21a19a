from __future__ import annotations

import json
import re
import socket
from datetime import datetime, timedelta, timezone

import pytest

from airflow_provider_toggl.__main__ import main
from airflow_provider_toggl.core.operate.health.waiting import WaitingTask
from airflow_provider_toggl.hooks.activity import clear_waiting, record_waiting
from airflow_provider_toggl.hooks.toggl import TogglHook
from airflow_provider_toggl.sandbox.server import RunningSandbox
from airflow_provider_toggl.sandbox.workspace.seed import build_world

pytestmark = pytest.mark.airflow


def call(*arguments: str) -> int:
    return main(["quota", *arguments])


@pytest.fixture
def toggl(monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW__TOGGL__STATE_DIR", str(tmp_path))
    with RunningSandbox(build_world(entries=20, plan="free")) as sandbox:
        fields = {"conn_type": "toggl", "host": sandbox.url, "password": sandbox.token}
        fields["extra"] = json.dumps({"requests_per_second": 200})
        monkeypatch.setenv("AIRFLOW_CONN_TOGGL_DEFAULT", json.dumps(fields))
        yield sandbox


@pytest.mark.usefixtures("toggl")
def test_each_lane_is_printed_with_its_reset(capsys):
    assert call() == 0
    printed = capsys.readouterr().out
    assert [word for word in ("user", "organization:", "UTC") if word not in printed] == []
    assert call("--json") == 0
    assert json.loads(capsys.readouterr().out)["user"]["total"] == 30


@pytest.mark.usefixtures("toggl")
def test_the_requests_of_the_window_are_listed_by_task_and_host(capsys):
    session = TogglHook("toggl_default").get_conn()
    with session.claiming("sync.projects (manual__1)"):
        session.expect(3)
        session.request("GET", "/api/v9/me")
        assert call() == 0
    printed = capsys.readouterr().out
    assert re.search(rf"user +1 +2  sync\.projects \(manual__1\), {socket.gethostname()}", printed)
    assert call("--json") == 0
    (task,) = [one for one in json.loads(capsys.readouterr().out)["requests_by_task"] if one["task"]]
    assert task == {
        "lane": "user",
        "task": "sync.projects (manual__1)",
        "host": socket.gethostname(),
        "taken": 1,
        "wanted": 0,
    }


@pytest.fixture
def waiting(toggl):
    """A waiting task of the connection."""
    now = datetime.now(timezone.utc).replace(microsecond=0)
    task = WaitingTask(
        task="sync.time_entries (manual__1)",
        workspace_id=7,
        stream="time_entries",
        reason="quota",
        since=now,
        until=now + timedelta(minutes=30),
        requests_done=28,
        requests_left=35,
        done_at=now + timedelta(minutes=91),
        rows_done=28_000,
    )
    record_waiting("toggl_default", task)
    yield task
    clear_waiting("toggl_default", task.task)


def test_waiting_tasks_are_listed_with_their_progress(waiting: WaitingTask, capsys):
    assert call() == 0
    *_, name, until, done, left, end = capsys.readouterr().out.splitlines()
    assert name == "sync.time_entries (manual__1), time_entries"
    assert "Waits for the hourly quota of Toggl until" in until
    assert "28 requests, 28,000 rows" in done
    assert "Left: at least 35 requests" in left
    assert "Done at" in end


def test_json_has_the_waiting_tasks(waiting: WaitingTask, capsys):
    assert call("--json") == 0
    assert json.loads(capsys.readouterr().out)["waiting"] == [waiting.as_dict()]


def test_a_used_up_quota_is_still_printed(toggl, waiting: WaitingTask, capsys):
    assert call() == 0
    toggl.set(user_quota=1)
    toggl.fault("status", status=402, body="You have hit your hourly limit for API calls. It resets in 90 seconds.")
    capsys.readouterr()
    assert call() == 0
    said = capsys.readouterr()
    assert "The hourly quota of Toggl for user is used up. These numbers are the last ones known" in said.err
    assert "organization:" in said.out
    assert waiting.task in said.out
