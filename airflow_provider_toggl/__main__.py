"""``python -m airflow_provider_toggl <command>``: the commands without ``airflow``.

Only the module of the requested command is imported, so a command works without the dependencies of the others, and
only those that need Airflow wait for its import.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from airflow_provider_toggl import __version__
from airflow_provider_toggl.cli.commands import COMMANDS, Command, add_examples, import_command
from airflow_provider_toggl.cli.output import run_as_program

__all__ = ["COMMANDS", "Command", "build_parser", "main"]


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command's name; the command parses the rest."""
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_toggl", description="Toggl Track for Airflow.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    for command in COMMANDS.values():
        commands.add_parser(command.name, help=command.summary, add_help=False)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 2 if the arguments are invalid.

    :param argv: the arguments after the program's name; ``None``: those of this process.
    """
    chosen, rest = build_parser().parse_known_args(argv)
    command = COMMANDS[chosen.command]
    parser = argparse.ArgumentParser(prog=f"python -m airflow_provider_toggl {command.name}")
    module = import_command(command, parser)
    add_examples(parser, command.examples)
    module.add_arguments(parser)
    return run_as_program(module.run, parser.parse_args(rest))


if __name__ == "__main__":
    sys.exit(main())
