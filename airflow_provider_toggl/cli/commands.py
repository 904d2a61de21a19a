"""The table of commands: what can be asked for, and where it is. Imports none of them."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


class CommandModule(Protocol):
    """What the module of a command has."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it and return the exit status."""


@dataclass(frozen=True)
class Command:
    """A command that can be given.

    :param name: the word on the command line.
    :param module: where its ``add_arguments`` and ``run`` are.
    :param summary: one line for ``--help``.
    :param examples: for the foot of its help: what stands after ``airflow toggl``, and as well after
        ``python -m airflow_provider_toggl``.
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
            "serve a faithful local Toggl Track",
            ("sandbox --port 8765 --entries 5000 --plan free", "sandbox --port 0 --detach"),
        ),
        Command(
            "quota",
            "airflow_provider_toggl.cli.quota",
            "show what is left of a token's hourly quota",
            ("quota", "quota --conn-id toggl_berlin --json"),
        ),
        Command(
            "plan",
            "airflow_provider_toggl.cli.plan",
            "show what a first load will cost, and when it would end",
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
            "take in webhook deliveries",
            ("receiver --host 0.0.0.0 --port 8790", "receiver --connections toggl_default,toggl_berlin --verbose"),
        ),
        Command(
            "status",
            "airflow_provider_toggl.cli.status",
            "show how Toggl connections are",
            ("status", "status --conn-id toggl_berlin --json"),
        ),
        Command(
            "doctor",
            "airflow_provider_toggl.cli.doctor",
            "tell what is wrong, what it means and how to mend it",
            (
                "doctor",
                "doctor --conn-id toggl_berlin --warehouse-conn-id postgres_dwh --schema toggl_berlin",
                "doctor --no-ping --json",
            ),
        ),
        Command(
            "events",
            "airflow_provider_toggl.cli.events",
            "show what Toggl delivered",
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


def add_examples(parser: argparse.ArgumentParser, examples: Iterable[str]) -> None:
    """Put examples at the foot of a parser's help.

    :param examples: what stands after ``airflow toggl``.
    """
    lines = "\n".join(f"  airflow toggl {example}" for example in examples)
    if lines:
        parser.epilog = f"examples:\n{lines}"
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
