from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_toggl.cli import commands
from airflow_provider_toggl.cli.definition import get_toggl_cli_commands

pytestmark = pytest.mark.airflow

AIRFLOW = Path(sys.executable).with_name("airflow")


def airflow(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "AIRFLOW_HOME": str(home), "COLUMNS": "200"}
    return subprocess.run([AIRFLOW, *arguments], env=env, capture_output=True, text=True, check=False, timeout=120)


def test_airflow_lists_every_command(tmp_path: Path) -> None:
    done = airflow("toggl", "--help", home=tmp_path)
    assert done.returncode == 0, done.stderr
    for command in commands.COMMANDS.values():
        assert command.name in done.stdout
        assert command.summary in done.stdout


def call(*arguments: str) -> None:
    """Parse and run as Airflow does."""
    from airflow.cli.cli_parser import _add_command

    parser = argparse.ArgumentParser()
    (group,) = get_toggl_cli_commands()
    _add_command(parser.add_subparsers(), group)
    args = parser.parse_args(["toggl", *arguments])
    args.func(args)


def test_the_help_of_a_command_is_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        call("receiver", "--help")
    printed = capsys.readouterr().out
    assert "--connections" in printed
    # Airflow's own formatter would interpret it as a colour.
    assert "[toggl] receiver_connections" in printed


def test_a_command_gets_its_arguments_and_sets_the_exit_status(echo: None) -> None:
    call("echo", "--number", "0")
    with pytest.raises(SystemExit, match="7"):
        call("echo", "--number", "7")


@pytest.mark.parametrize(
    ("arguments", "word"), [(["echo", "--letter"], "--letter"), (["lost"], "no_such_module")], ids=["unknown", "lost"]
)
def test_invalid_arguments_and_missing_modules_exit_with_2_and_the_reason(
    echo: None, capsys: pytest.CaptureFixture[str], arguments: list[str], word: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        call(*arguments)
    assert word in capsys.readouterr().err


def test_other_commands_of_airflow_and_the_plugin_import_no_module_of_a_command_nor_of_an_application() -> None:
    program = """
import sys
from airflow.cli import cli_parser
before = set(sys.modules)
cli_parser.get_parser()
import airflow_provider_toggl.plugin
ours = {name for name in sys.modules if name.startswith("airflow_provider_toggl")}
print(sorted(ours), sorted(name for name in ("duckdb", "pyarrow", "uvicorn") if name in set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    ours, heavy = done.stdout.splitlines()[-1].split("] [")
    assert "cli.definition" in ours
    assert not [word for word in ("cli.quota", "cli.plan", "core", "hooks", "page", "sandbox") if word in ours]
    assert heavy == "]"
