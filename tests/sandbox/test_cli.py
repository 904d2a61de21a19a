from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from support.sandboxes import build_still_world
from support.waiting import wait_until

from airflow_provider_toggl.sandbox.cli import add_arguments, greeting, main
from airflow_provider_toggl.sandbox.server import SandboxClient, listen


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(arguments)


def test_without_options_it_serves_ten_thousand_entries_on_the_free_plan() -> None:
    args = parse()
    assert (args.host, args.port, args.seed, args.entries, args.plan) == ("127.0.0.1", 8765, 7, 10_000, "free")


def test_the_time_that_it_starts_at_needs_a_zone() -> None:
    assert parse("--now", "2026-03-10T12:00:00Z").now == datetime(2026, 3, 10, 12, tzinfo=timezone.utc)
    with pytest.raises(SystemExit):
        parse("--now", "2026-03-10T12:00:00")
    with pytest.raises(SystemExit):
        parse("--now", "tomorrow")


def test_settings_are_given_as_json_or_as_texts() -> None:
    args = parse("--set", "quota_window_seconds=5", "--set", "quota_kind=sliding", "--set", "quota_enforced=false")
    assert dict(args.settings) == {"quota_window_seconds": 5, "quota_kind": "sliding", "quota_enforced": False}
    with pytest.raises(SystemExit):
        parse("--set", "quota_kind")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "plan=gold"], "plan must be one of"),
        (["--set", "colour=red"], "No such setting: colour"),
        (["--timezone", "Mars/Olympus"], "No such time zone"),
        (["--entries", "-1"], "cannot be negative"),
        (["--detach", "--set", "plan=gold"], "plan must be one of"),
        (["--detach", "--workspace-id", "0"], "workspace ID"),
    ],
)
def test_an_invalid_argument_is_one_line_on_stderr(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--port", "0", *arguments]) == 2
    problem = capsys.readouterr().err
    assert message in problem
    assert problem.startswith("sandbox: ")
    assert problem.count("\n") == 1


@pytest.mark.parametrize("detach", [[], ["--detach"]])
def test_a_port_in_use_is_reported_before_data_is_generated(
    detach: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with listen("127.0.0.1", 0) as taken:
        assert main(["--port", str(taken.getsockname()[1]), "--entries", "100000000", *detach]) == 1
    shown = capsys.readouterr()
    assert (shown.out, "Address already in use; use --port 0 for a free port" in shown.err) == ("", True)
    assert "cannot listen on 127.0.0.1:" in shown.err


def run_program(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "airflow_provider_toggl", "sandbox", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


def variables_of(script: str, folder: Path) -> dict[str, str]:
    """Return the variables that a shell has after it read the lines."""
    (folder / "sandbox.env").write_text(script)
    command = ["sh", "-c", ". ./sandbox.env && env"]
    printed = subprocess.run(command, cwd=folder, env={"PATH": os.defpath}, capture_output=True, text=True, check=True)
    return dict(line.split("=", 1) for line in printed.stdout.splitlines())


def test_a_detached_sandbox_answers_when_the_command_returns_and_ends_by_its_process_id(tmp_path: Path) -> None:
    token = "it's $HOME"
    ended = run_program("--port", "0", "--detach", "--entries", "7", "--conn-id", "toggl_two", "--token", token)
    assert ended.returncode == 0, ended.stderr
    given = variables_of(ended.stdout, tmp_path)
    process = int(given["TOGGL_SANDBOX_PID"])
    try:
        connection = json.loads(given["AIRFLOW_CONN_TOGGL_TWO"])
        remote = SandboxClient(given["TOGGL_SANDBOX_URL"])
        health = remote.health()
        assert (health["time_entries"], health["token"]) == (7, token)
        assert connection["host"] == remote.url
        assert connection["password"] == token
        assert str(connection["extra"]["workspace_id"]) == given["TOGGL_WORKSPACE_ID"] == str(health["workspace_id"])
        assert remote.url in ended.stderr
    finally:
        os.kill(process, signal.SIGTERM)
    wait_until(lambda: not answers(remote), timeout=20)


def answers(remote: SandboxClient) -> bool:
    try:
        remote.health()
    except OSError:
        return False
    return True


def test_a_detached_sandbox_outlives_the_terminal_that_started_it(tmp_path: Path) -> None:
    ended = run_program("--port", "0", "--detach", "--entries", "1", start_new_session=True)
    given = variables_of(ended.stdout, tmp_path)
    process = int(given["TOGGL_SANDBOX_PID"])
    try:
        os.kill(process, signal.SIGHUP)
        assert answers(SandboxClient(given["TOGGL_SANDBOX_URL"]))
    finally:
        os.kill(process, signal.SIGTERM)


def test_the_greeting_has_the_token_and_a_connection_to_copy() -> None:
    world = build_still_world(entries=3)
    shown = greeting(world, "http://127.0.0.1:8765")
    line = next(line for line in shown.splitlines() if "AIRFLOW_CONN_TOGGL_DEFAULT" in line)
    connection = json.loads(line.split("='", 1)[1].removesuffix("'"))
    assert connection["password"] == world.owner.token
    assert connection["host"] == "http://127.0.0.1:8765"
    assert connection["extra"]["workspace_id"] == world.workspace.id
    assert "time entries: 3" in shown


def test_the_greeting_counts_people_as_the_option_does() -> None:
    assert ", time entries: 1, users: 8" in greeting(build_still_world(entries=1), "http://127.0.0.1:8765")
