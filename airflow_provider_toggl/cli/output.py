"""What commands share: standard output has only the result, and exit statuses are as a shell expects them."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout


@contextmanager
def use_airflow() -> Iterator[None]:
    """Let this process use Airflow and its metadata database; messages of Airflow go to standard error.

    The file descriptor is redirected, too: log handlers of ``airflow`` keep the original stream.
    """
    # Without it, Airflow does not look for connections in its metadata database. `airflow connections` sets the same.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
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
    """Run a command and return its exit status.

    It is 1 after an error of this package, which is printed; 130 after an interrupt; 141 if the reader of a pipe has
    ended. Characters that the terminal cannot show are replaced.
    """
    from airflow_provider_toggl.core.errors import TogglError  # noqa: PLC0415 - `airflow --help` imports this module

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        status = run(args)
        sys.stdout.flush()
    except TogglError as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader ended early, as `head` does. Without this, Python reports the closed pipe again when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return status
