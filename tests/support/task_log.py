"""Lines of a task's log, with the fields that Airflow gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import structlog
from structlog.testing import capture_logs

from airflow_provider_toggl.core import log_fields, metrics


@contextmanager
def task_log() -> Iterator[Callable[[str], Mapping[str, Any]]]:
    """Keep what operators and sensors log within; yields what finds the one line that has a text, with its fields."""
    # As in a task's own process, in which nothing of this package has been done yet.
    metrics.send_to(None)
    log_fields.bind_with(nullcontext)

    def find(text: str) -> Mapping[str, Any]:
        (found,) = [line for line in lines if text in line["event"]]
        return found

    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        yield find
