"""How commands speak: what was asked for, alone, on standard output; and an end as programs of a shell have it."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout


@contextmanager
def others_to_stderr() -> Iterator[None]:
    """Send what is written to standard output meanwhile to standard error.

    The descriptor too: below ``airflow``, log handlers hold the stream that was there before.
    """
    stream = sys.stdout
    stream.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        stream.flush()
        os.dup2(kept, 1)
        os.close(kept)


def run_as_program(run: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    """Run a command and return its exit status, as a shell has it also where somebody ends the command.

    A character that the terminal does not have is replaced, and fails nothing.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        status = run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has enough, as `head` does.
        _say_no_more()
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return status


def _say_no_more() -> None:
    """Let Python's own end not complain once more that nobody reads."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
