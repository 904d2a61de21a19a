from __future__ import annotations

from airflow_provider_toggl.cli.commands import COMMANDS


def test_every_command_stands_under_its_name_and_says_what_it_does() -> None:
    assert [name for name, command in COMMANDS.items() if name != command.name or not command.summary] == []
    assert set(COMMANDS) == {"sandbox", "quota", "plan", "subscriptions", "status", "receiver", "events"}
