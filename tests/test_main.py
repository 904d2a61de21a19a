from __future__ import annotations

import argparse
import importlib
import subprocess
import sys

import pytest

from airflow_provider_toggl import __main__ as program
from airflow_provider_toggl import __version__


def test_a_command_gets_the_arguments_after_its_name_and_its_status_is_returned(echo: None) -> None:
    assert program.main(["echo", "--number", "7"]) == 7
    assert program.main(["echo"]) == 0


def test_help_lists_every_command(echo: None, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        program.main(["--help"])
    printed = capsys.readouterr().out
    assert all(command.name in printed and command.summary in printed for command in program.COMMANDS.values())


def test_help_of_a_command_is_the_command_s(echo: None, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        program.main(["echo", "--help"])
    assert "--number" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "word"),
    [([], "required"), (["nonsense"], "nonsense"), (["echo", "--letter"], "--letter"), (["lost"], "no_such_module")],
    ids=["no-command", "unknown-command", "unknown-argument", "command-that-cannot-be-imported"],
)
def test_what_cannot_be_done_ends_with_2_and_the_reason(
    echo: None, capsys: pytest.CaptureFixture[str], arguments: list[str], word: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        program.main(arguments)
    assert word in capsys.readouterr().err


def test_the_version_is_the_package_s(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        program.main(["--version"])
    assert capsys.readouterr().out.strip() == __version__


@pytest.mark.parametrize("command", program.COMMANDS.values(), ids=lambda command: command.name)
def test_a_command_s_module_declares_arguments_and_runs(command: program.Command) -> None:
    module = importlib.import_module(command.module)
    module.add_arguments(argparse.ArgumentParser())
    assert callable(module.run)


@pytest.mark.parametrize("arguments", [["--help"], ["sandbox", "--help"]], ids=["help", "sandbox"])
def test_it_starts_without_importing_airflow(arguments: list[str]) -> None:
    run = [sys.executable, "-X", "importtime", "-m", "airflow_provider_toggl", *arguments]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "airflow_provider_toggl" in imported
    assert "airflow" not in imported
