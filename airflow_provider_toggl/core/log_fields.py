"""Fields of log lines for programs that read logs. The text of a line has the same facts for people.

The fields are the ``extra`` of the standard library. Airflow's logs omit ``extra``, so its own fields are bound too, by
the function passed to :func:`bind_with`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

FIELDS: dict[str, str] = {
    "connection": "ID of the Toggl connection",
    "workspace_id": "the workspace",
    "stream": "the stream; `events` for a drain",
    "by": "`pull`, `drain`, `reconcile`, `receive`, `wait`, `watch`, `commit`, `replay` or `deadline`",
    "dag_id": "the DAG; for a missed deadline, the DAG of the late run",
    "run_id": "the run; for a missed deadline, the late run",
    "consumer": "name of the consumer of the event store, null for a wait without one",
    "seq": "`seq` in the event store: the last one that was read, or that of the event that was waited for",
    "pages": "pages read so far in this run",
    "rows": "rows, or events, loaded so far in this run",
    "inserted": "new rows",
    "updated": "changed rows",
    "absent": "rows that no longer exist in Toggl",
    "rejected": "records written to `rejected_records`",
    "unverified": "entries that reconciliation could not verify",
    "requests": "requests of this run",
    "quota_left": "requests left in the lane, null if Toggl does not report it",
    "watermark": "every change before it is loaded",
    "seconds": "duration",
    "deferrals": "deferrals for the quota in this run",
    "deferred_until": "when the task resumes",
    "retry_in": "seconds until the request is retried",
    "subscription_id": "Toggl's number of the webhook subscription",
    "action": "what was done with the subscription",
    "outcomes": "deliveries by outcome since the last such line",
}
"""The meaning of each field. The reference is generated from it."""

Bind = Callable[..., AbstractContextManager[Any]]

_bound: ContextVar[dict[str, Any] | None] = ContextVar("toggl_log_fields", default=None)
_bind: Bind = nullcontext


def bind_with(bind: Bind) -> None:
    """Bind fields with this function, too: it takes them by name and returns a context manager."""
    global _bind  # noqa: PLW0603 - one log for the whole process
    _bind = bind


def fields_of(summary: object) -> dict[str, Any]:
    """Return the attributes of a summary that are fields of log lines."""
    return {name: value for name, value in vars(summary).items() if name in FIELDS}


@contextmanager
def fields(**named: Any) -> Iterator[None]:
    """Add fields to all log lines within this context."""
    token = _bound.set({**(_bound.get() or {}), **named})
    try:
        with _bind(**named) if _bind is not nullcontext else nullcontext():
            yield
    finally:
        _bound.reset(token)


def log_line(log: logging.Logger, text: str, *args: object, level: int = logging.INFO, **named: Any) -> None:
    """Log a line with fields.

    :param text: with ``args`` as in ``log.info``.
    :param level: of ``logging``.
    :param named: the fields.
    """
    with fields(**named):
        log.log(level, text, *args, extra=_bound.get(), stacklevel=2)
