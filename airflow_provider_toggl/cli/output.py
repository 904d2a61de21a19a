"""Standard output with nothing but a command's result, and exit statuses as a shell expects them."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout


@contextmanager
def redirect_to_stderr() -> Iterator[None]:
    """Redirect standard output to standard error, so that messages of others do not mix with a command's result.

    The file descriptor, too: log handlers of ``airflow`` keep the original stream.
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
    """Run a command and return its exit status: 130 after an interrupt, 141 if the reader of a pipe has ended.

    Characters that the terminal cannot show are replaced.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        status = run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader ended early, as `head` does.
        _discard_output()
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return status


def _discard_output() -> None:
    """Prevent Python from reporting the closed pipe once more when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
