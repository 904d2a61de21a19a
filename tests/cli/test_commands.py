from __future__ import annotations

import argparse
import importlib
import shlex

import pytest

from airflow_provider_toggl.cli.commands import COMMANDS, add_examples


def test_every_command_has_its_name_and_a_summary() -> None:
    assert [name for name, command in COMMANDS.items() if name != command.name or not command.summary] == []
    assert set(COMMANDS) == {"sandbox", "quota", "plan", "subscriptions", "status", "receiver", "doctor", "events"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_examples_that_its_parser_takes(name: str) -> None:
    command = COMMANDS[name]
    parser = argparse.ArgumentParser()
    importlib.import_module(command.module).add_arguments(parser)
    assert command.examples
    for example in command.examples:
        first, *rest = shlex.split(example)
        assert first == name
        parser.parse_args(rest)


@pytest.mark.parametrize("name", ["list", "tail", "count", "show", "prune", "consumers"])
def test_each_command_of_events_shows_its_own_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    importlib.import_module(COMMANDS["events"].module).add_arguments(parser)
    with pytest.raises(SystemExit, match="0"):
        parser.parse_args([name, "--help"])
    printed = capsys.readouterr().out
    examples = printed[printed.index("examples:") :].splitlines()[1:]
    assert examples
    assert all(line.startswith(f"  airflow toggl events {name}") for line in examples)


def test_examples_stand_at_the_foot_of_the_help_as_they_are_written() -> None:
    parser = argparse.ArgumentParser()
    add_examples(parser, ["quota --json", "quota"])
    assert parser.format_help().endswith("examples:\n  airflow toggl quota --json\n  airflow toggl quota\n")
