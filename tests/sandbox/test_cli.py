from __future__ import annotations

import argparse
import json
from datetime import datetime, timezone

import pytest
from support.sandboxes import build_still_world

from airflow_provider_toggl.sandbox.cli import add_arguments, greeting, main
from airflow_provider_toggl.sandbox.server import listen


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
    ("arguments", "said"),
    [
        (["--set", "plan=gold"], "plan is one of"),
        (["--set", "colour=red"], "No such setting: colour"),
        (["--timezone", "Mars/Olympus"], "No such time zone"),
        (["--entries", "-1"], "cannot be negative"),
    ],
)
def test_what_it_cannot_do_is_said_in_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--port", "0", *arguments]) == 2
    problem = capsys.readouterr().err
    assert said in problem
    assert problem.startswith("sandbox: ")
    assert problem.count("\n") == 1


def test_a_port_that_is_taken_is_said_before_any_data_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    with listen("127.0.0.1", 0) as taken:
        assert main(["--port", str(taken.getsockname()[1]), "--entries", "100000000"]) == 1
    assert "cannot listen at 127.0.0.1:" in capsys.readouterr().err


def test_the_greeting_has_the_token_and_a_connection_to_copy() -> None:
    world = build_still_world(entries=3)
    told = greeting(world, "http://127.0.0.1:8765")
    line = next(line for line in told.splitlines() if "AIRFLOW_CONN_TOGGL_DEFAULT" in line)
    connection = json.loads(line.split("='", 1)[1].removesuffix("'"))
    assert connection["password"] == world.owner.token
    assert connection["host"] == "http://127.0.0.1:8765"
    assert connection["extra"]["workspace_id"] == world.workspace.id
    assert "3 time entries" in told
