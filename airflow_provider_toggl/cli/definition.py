"""The commands for Airflow's command line: ``airflow toggl <command>``.

Airflow builds the parsers of all commands whenever it runs one, so a command's module is imported only when its own
arguments are parsed.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_toggl.cli.commands import COMMANDS, Command, CommandModule, add_examples, import_command
from airflow_provider_toggl.cli.output import run_as_program

if TYPE_CHECKING:
    from airflow.cli.cli_config import CLICommand


def get_toggl_cli_commands() -> list[CLICommand]:
    """Return the group of commands. The provider's metadata names this function."""
    from airflow.cli.cli_config import ActionCommand, GroupCommand  # noqa: PLC0415 - only Airflow's command line asks

    subcommands = tuple(
        ActionCommand(
            name=command.name,
            help=command.summary,
            func=_import_and_run(command),
            args=cast("Any", (LazyArguments(command),)),
        )
        for command in COMMANDS.values()
    )
    return [GroupCommand(name="toggl", help="Toggl Track", subcommands=subcommands)]


class LazyArguments:
    """Takes the place of an Airflow ``Arg``: adds all arguments of a command when its parser first parses."""

    # Airflow sorts arguments by their first flag. This one is not shown.
    flags = ("arguments",)

    def __init__(self, command: Command) -> None:
        self._command = command

    def add_to_parser(self, parser: argparse.ArgumentParser) -> None:
        """Let the parser import the module and add its arguments before it parses."""
        parse = parser.parse_known_args
        is_declared = False

        def declare_and_parse(args: Sequence[str] | None = None, namespace: Any = None) -> Any:
            nonlocal is_declared
            if not is_declared:
                add_examples(parser, self._command.examples)
                import_command(self._command, parser).add_arguments(parser)
                is_declared = True
            return parse(args, namespace)

        # Airflow's formatter interprets [words] as colours.
        parser.formatter_class = argparse.HelpFormatter
        parser.parse_known_args = declare_and_parse  # type: ignore[method-assign, assignment]


def _import_and_run(command: Command) -> Callable[[argparse.Namespace], None]:
    """Return a function that imports the command's module and runs it."""

    def run(args: argparse.Namespace) -> None:
        module = cast("CommandModule", importlib.import_module(command.module))
        status = run_as_program(module.run, args)
        if status:
            sys.exit(status)

    return run
