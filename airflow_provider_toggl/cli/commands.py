"""The table of commands: what can be asked for, and where it is. Imports none of them."""

from __future__ import annotations

import argparse
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
    """

    name: str
    module: str
    summary: str


COMMANDS: dict[str, Command] = {
    command.name: command
    for command in (
        Command("sandbox", "airflow_provider_toggl.sandbox.cli", "serve a faithful local Toggl Track"),
        Command("quota", "airflow_provider_toggl.cli.quota", "show what is left of a token's hourly quota"),
        Command("plan", "airflow_provider_toggl.cli.plan", "show what a first load will cost, and when it would end"),
        Command("subscriptions", "airflow_provider_toggl.cli.subscriptions", "show and change webhook subscriptions"),
        Command("status", "airflow_provider_toggl.cli.status", "show how Toggl connections are"),
        Command("receiver", "airflow_provider_toggl.cli.receiver", "take in webhook deliveries"),
        Command("events", "airflow_provider_toggl.cli.events", "show what Toggl delivered"),
    )
}
