"""The log lines of a task with their fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import structlog
from structlog.testing import capture_logs

from airflow_provider_toggl.core import log_fields, metrics


@contextmanager
def task_log() -> Iterator[Callable[[str], Mapping[str, Any]]]:
    """Collect log lines; yield a function that returns the fields of the only line with a given text."""
    # As in a new process of a task.
    metrics.send_to(None)
    log_fields.bind_with(nullcontext)

    def find(text: str) -> Mapping[str, Any]:
        (found,) = [line for line in lines if text in line["event"]]
        return found

    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        yield find
