"""The commands as Airflow's: ``airflow toggl <command>`` is ``python -m airflow_provider_toggl <command>``.

Airflow builds the parsers of all commands for each of them, so a command's module is imported only once its own
arguments are to be parsed.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_toggl.cli.commands import COMMANDS, Command, CommandModule, add_examples
from airflow_provider_toggl.cli.output import run_as_program

if TYPE_CHECKING:
    from airflow.cli.cli_config import CLICommand


def get_toggl_cli_commands() -> list[CLICommand]:
    """Return the group of commands; named in the provider's metadata."""
    from airflow.cli.cli_config import ActionCommand, GroupCommand  # noqa: PLC0415 - only Airflow's command line asks

    subcommands = tuple(
        ActionCommand(
            name=command.name,
            help=command.summary,
            func=_run_later(command),
            args=cast("Any", (OwnArguments(command),)),
        )
        for command in COMMANDS.values()
    )
    return [GroupCommand(name="toggl", help="Toggl Track", subcommands=subcommands)]


class OwnArguments:
    """Stands among Airflow's arguments for all that a command's module declares, once they are parsed.

    :param command: whose.
    """

    #: Airflow sorts arguments by this.
    flags = ("arguments",)

    def __init__(self, command: Command) -> None:
        self._command = command

    def add_to_parser(self, parser: argparse.ArgumentParser) -> None:
        """Let the parser ask the module for its arguments when it is used."""
        parse = parser.parse_known_args
        is_declared = False

        def declare_and_parse(args: Sequence[str] | None = None, namespace: Any = None) -> Any:
            nonlocal is_declared
            if not is_declared:
                add_examples(parser, self._command.examples)
                _module_of(self._command, parser).add_arguments(parser)
                is_declared = True
            return parse(args, namespace)

        # Airflow's formatter takes [words] for colours.
        parser.formatter_class = argparse.HelpFormatter
        parser.parse_known_args = declare_and_parse  # type: ignore[method-assign, assignment]


def _run_later(command: Command) -> Callable[[argparse.Namespace], None]:
    def run(args: argparse.Namespace) -> None:
        module = cast("CommandModule", importlib.import_module(command.module))
        status = run_as_program(module.run, args)
        if status:
            sys.exit(status)

    return run


def _module_of(command: Command, parser: argparse.ArgumentParser) -> CommandModule:
    try:
        return cast("CommandModule", importlib.import_module(command.module))
    except ImportError as missing:
        parser.error(f"this command cannot be used here: {missing}. It may need an extra of airflow-provider-toggl.")
