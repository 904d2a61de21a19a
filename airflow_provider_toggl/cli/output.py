"""Standard output for what was asked for alone: what Airflow says meanwhile goes to standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
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
