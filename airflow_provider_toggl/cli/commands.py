"""The table of commands. A command's module is imported only when the command runs."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, cast


class CommandModule(Protocol):
    """The functions of a command's module."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments to its parser."""

    def run(self, args: argparse.Namespace) -> int:
        """Run the command and return the exit status."""


@dataclass(frozen=True)
class Command:
    """A command.

    :param name: the word on the command line.
    :param module: the module with its ``add_arguments`` and ``run``.
    :param summary: one line for ``--help``.
    :param examples: command lines for its help, without ``airflow toggl``.
    """

    name: str
    module: str
    summary: str
    examples: tuple[str, ...] = ()


COMMANDS: dict[str, Command] = {
    command.name: command
    for command in (
        Command(
            "sandbox",
            "airflow_provider_toggl.sandbox.cli",
            "run a local Toggl Track for tests",
            ("sandbox --port 8765 --entries 5000 --plan free", "sandbox --port 0 --detach"),
        ),
        Command(
            "quota",
            "airflow_provider_toggl.cli.quota",
            "show the hourly quota left for a token",
            ("quota", "quota --conn-id toggl_berlin --json"),
        ),
        Command(
            "plan",
            "airflow_provider_toggl.cli.plan",
            "estimate the requests and time of a first load",
            ("plan --since 2024-01-01", "plan --warehouse-conn-id duckdb_default --json"),
        ),
        Command(
            "subscriptions",
            "airflow_provider_toggl.cli.subscriptions",
            "show and change webhook subscriptions",
            (
                "subscriptions list",
                "subscriptions ping airflow",
                "subscriptions enable 10713 --json",
                "subscriptions disable airflow",
                "subscriptions delete 10713",
            ),
        ),
        Command(
            "receiver",
            "airflow_provider_toggl.cli.receiver",
            "run the receiver of webhook deliveries",
            ("receiver --host 0.0.0.0 --port 8090", "receiver --connections toggl_default,toggl_berlin --verbose"),
        ),
        Command(
            "status",
            "airflow_provider_toggl.cli.status",
            "show connection health",
            ("status", "status --conn-id toggl_berlin --json"),
        ),
        Command(
            "doctor",
            "airflow_provider_toggl.cli.doctor",
            "check a connection and show how to fix problems",
            (
                "doctor",
                "doctor --conn-id toggl_berlin --warehouse-conn-id postgres_dwh --schema toggl_berlin",
                "doctor --no-ping --json",
            ),
        ),
        Command(
            "events",
            "airflow_provider_toggl.cli.events",
            "show and remove events that Toggl delivered",
            (
                "events list --json --after 1200",
                "events tail",
                "events tail --json --entity time_entry --action created --project-id 5012",
                "events tail --once --after 1200 --user-id 77",
                "events count",
                "events show 1201",
                "events prune --older-than 30d",
                "events consumers",
                "events consumers --forget nightly",
            ),
        ),
    )
}


def import_command(command: Command, parser: argparse.ArgumentParser) -> CommandModule:
    """Return the module of a command; end the program with an error if something that it needs is not installed."""
    try:
        return cast("CommandModule", importlib.import_module(command.module))
    except ImportError as missing:
        parser.error(f"this command cannot be used here: {missing}. It may need an extra of airflow-provider-toggl.")


def add_examples(parser: argparse.ArgumentParser, examples: Iterable[str]) -> None:
    """Add examples to the end of a parser's help.

    :param examples: command lines without ``airflow toggl``.
    """
    lines = "\n".join(f"  airflow toggl {example}" for example in examples)
    if lines:
        parser.epilog = f"examples:\n{lines}"
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
