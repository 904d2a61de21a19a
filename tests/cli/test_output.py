from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import pytest

PROGRAM = """
import os, sys
from airflow_provider_toggl.cli.output import use_airflow
handler = sys.stdout
print("before")
try:
    with use_airflow():
        print("printed")
        handler.write("logged\\n")
        os.write(1, b"written\\n")
        raise LookupError
except LookupError:
    print("after")
"""


def test_messages_of_others_are_not_on_standard_output() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == "before\nafter\n"
    assert sorted(done.stderr.split()) == ["logged", "printed", "written"]


ENDING = """
import argparse, os, signal, sys
from airflow_provider_toggl.cli.output import run_as_program
from airflow_provider_toggl.core.errors import ConfigurationError
def run(args):
    if args.how == "interrupted":
        signal.raise_signal(signal.SIGINT)
    if args.how == "error":
        raise ConfigurationError("There is no connection.")
    print("\u2192 " * 200_000 if args.how == "much" else "5 \u2192 6", flush=args.how != "at its end")
    return 7
sys.exit(run_as_program(run, argparse.Namespace(how=sys.argv[1])))
"""


def end(how: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    options = {"stdout": subprocess.PIPE, **options}
    return subprocess.run([sys.executable, "-c", ENDING, how], stderr=subprocess.PIPE, check=False, **options)


def test_characters_that_the_terminal_lacks_are_replaced() -> None:
    done = end("one line", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stdout, done.stderr) == (7, b"5 ? 6\n", b"")


@pytest.mark.parametrize("how", ["one line", "much", "at its end"])
def test_a_closed_pipe_ends_a_command_silently(how: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = end(how, stdout=writing)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


def test_an_interrupt_ends_a_command_silently() -> None:
    done = end("interrupted")
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGINT, b"", b"")


def test_an_error_of_the_package_is_printed_and_exits_with_1() -> None:
    done = end("error")
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"There is no connection.\n")
