"""``python -m airflow_provider_toggl <command>``: what can be done without a running Airflow.

Only the module of the command that was asked for is imported, so that one command's missing dependency is not the
other's trouble, and so that none but those that need it wait for Airflow's import.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import cast

from airflow_provider_toggl import __version__
from airflow_provider_toggl.cli.commands import COMMANDS, Command, CommandModule, add_examples
from airflow_provider_toggl.cli.output import run_as_program

__all__ = ["COMMANDS", "Command", "build_parser", "main"]


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the first word; the rest belongs to the command."""
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_toggl", description="Toggl Track for Airflow.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    for command in COMMANDS.values():
        commands.add_parser(command.name, help=command.summary, add_help=False)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name and return its exit status: 2 where the arguments are wrong.

    :param argv: the arguments after the program's name; ``None``: those of this process.
    """
    chosen, rest = build_parser().parse_known_args(argv)
    command = COMMANDS[chosen.command]
    parser = argparse.ArgumentParser(prog=f"python -m airflow_provider_toggl {command.name}")
    try:
        module = cast("CommandModule", importlib.import_module(command.module))
    except ImportError as missing:
        parser.error(f"this command cannot be used here: {missing}. It may need an extra of airflow-provider-toggl.")
    add_examples(parser, command.examples)
    module.add_arguments(parser)
    return run_as_program(module.run, parser.parse_args(rest))


if __name__ == "__main__":
    sys.exit(main())
