from __future__ import annotations

import signal
import socket
import subprocess
import sys

import pytest
import requests

from airflow_provider_toggl.sandbox.server import (
    SandboxClient,
    SandboxNotStarted,
    SandboxProcess,
    free_port,
    listen,
    start_sandbox,
    wait_until_ready,
)


def test_a_sandbox_in_a_thread_answers_over_http_and_frees_its_port() -> None:
    with start_sandbox(entries=5) as sandbox:
        auth = (sandbox.token, "api_token")
        answer = requests.get(f"{sandbox.url}/api/v9/me", auth=auth, timeout=30)
        assert answer.json()["default_workspace_id"] == sandbox.workspace_id
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{sandbox.url}/api/v9/me", timeout=30)


# --8<-- [start:own-test]
def test_an_edit_is_seen_after_a_server_error() -> None:
    with start_sandbox(entries=50, seed=7) as toggl:
        auth = (toggl.token, "api_token")
        done = toggl.mutate(seed=1, n=1, kinds=["rename_project"])
        toggl.fault("status", status=503, match={"path": "/projects"}, times=1)
        url = f"{toggl.url}/api/v9/workspaces/{toggl.workspace_id}/projects/{done[0]['id']}"
        assert requests.get(url, auth=auth, timeout=30).status_code == 503
        renamed = requests.get(url, auth=auth, timeout=30).json()
        names = {row["id"]: row["name"] for row in toggl.truth("projects")}
        assert renamed["name"] == names[done[0]["id"]]
        assert toggl.requests()["by_status"] == {"200": 1, "503": 1}


# --8<-- [end:own-test]
def test_several_sandboxes_run_side_by_side() -> None:
    with start_sandbox(entries=5) as one, start_sandbox(entries=7) as other:
        assert (one.health()["time_entries"], other.health()["time_entries"]) == (5, 7)


def test_a_sandbox_in_a_process_of_its_own_is_ready_when_it_is_there() -> None:
    with SandboxProcess(["--entries", "12", "--seed", "9", "--plan", "starter"]) as sandbox:
        assert sandbox.health()["time_entries"] == 12
        assert sandbox.control("GET", "settings")["plan"] == "starter"
        auth = (sandbox.token, "api_token")
        assert requests.get(f"{sandbox.url}/api/v9/me", auth=auth, timeout=30).status_code == 200


def test_ctrl_c_ends_it_without_a_traceback() -> None:
    port = free_port("127.0.0.1")
    command = [sys.executable, "-m", "airflow_provider_toggl.sandbox", "--port", str(port), "--entries", "1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        wait_until_ready(SandboxClient(f"http://127.0.0.1:{port}"), alive=lambda: process.poll() is None)
        process.send_signal(signal.SIGINT)
        _, problem = process.communicate(timeout=30)
    assert (process.returncode, problem) == (0, b"")


def test_a_process_that_ends_at_once_is_reported(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SandboxNotStarted, match="ended before it answered"):
        SandboxProcess(["--set", "plan=gold"])
    assert "plan must be one of" in capfd.readouterr().err


def test_nobody_waits_for_a_sandbox_that_is_gone() -> None:
    with pytest.raises(SandboxNotStarted):
        wait_until_ready(SandboxClient(f"http://127.0.0.1:{free_port('127.0.0.1')}"), alive=lambda: False)


def test_a_port_in_use_is_reported_at_once() -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(OSError, match=r"[Aa]ddress"):
        listen("127.0.0.1", taken.getsockname()[1])


@pytest.mark.skipif(not socket.has_ipv6 or sys.platform != "linux", reason="no IPv6 here")
def test_it_listens_at_an_ipv6_address_too() -> None:
    try:
        listening = listen("::1", 0)
    except OSError:
        pytest.skip("no IPv6 loopback here")
    with listening:
        assert listening.family == socket.AF_INET6


def test_a_user_s_proxy_does_not_stand_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with start_sandbox(entries=1) as sandbox:
        assert sandbox.health()["status"] == "ok"
