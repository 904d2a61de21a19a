"""Fields of log lines, for those who read logs by machine: whose run, how many rows, how much of the quota is left.

The text of a line says it all to a person. The fields are the standard library's ``extra``; Airflow, whose logs leave
that out, is given them by :func:`bind_with`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

#: Every field that a line may have, and what it says; the reference is made from it.
FIELDS: dict[str, str] = {
    "connection": "ID of the Toggl connection",
    "workspace_id": "the workspace",
    "stream": "the stream; `events` for a drain",
    "by": "`pull`, `drain`, `reconcile`, `receive`, `wait`, `watch`, `commit`, `replay` or `deadline`",
    "dag_id": "as Airflow has it; of a deadline, the DAG that is late",
    "run_id": "as Airflow has it; of a deadline, the run that is late",
    "consumer": "name of the reader of the event store, null where a wait is of none",
    "seq": "a place in the event store: up to where it was read, or of the event that was waited for",
    "pages": "pages read so far in this run",
    "rows": "rows, or events, landed so far in this run",
    "inserted": "new rows",
    "updated": "changed rows",
    "absent": "rows that are gone from Toggl",
    "rejected": "records kept in `rejected_records`",
    "unproved": "entries that reconciliation could not prove",
    "requests": "requests of this run",
    "quota_left": "requests left in the lane, null where Toggl does not tell",
    "watermark": "everything that changed before is landed",
    "seconds": "how long it took",
    "deferrals": "waits for the quota in this run",
    "deferred_until": "when the task goes on",
    "retry_in": "seconds until a request is tried again",
    "subscription_id": "Toggl's number of the webhook subscription",
    "action": "what was done to it",
    "outcomes": "how many deliveries ended how, since the last such line",
}

Bind = Callable[..., AbstractContextManager[Any]]

_bound: ContextVar[dict[str, Any] | None] = ContextVar("toggl_log_fields", default=None)
_bind: Bind = nullcontext


def bind_with(bind: Bind) -> None:
    """Have fields bound by this as well, a context manager that takes them by name."""
    global _bind  # noqa: PLW0603 - one log for the whole process
    _bind = bind


def fields_of(summary: object) -> dict[str, Any]:
    """Return what a summary has that is a field of log lines."""
    return {name: value for name, value in vars(summary).items() if name in FIELDS}


@contextmanager
def fields(**named: Any) -> Iterator[None]:
    """Give all log lines within these fields too."""
    token = _bound.set({**(_bound.get() or {}), **named})
    try:
        with _bind(**named) if _bind is not nullcontext else nullcontext():
            yield
    finally:
        _bound.reset(token)


def log_line(log: logging.Logger, text: str, *args: object, level: int = logging.INFO, **named: Any) -> None:
    """Log a line for people, with fields for machines.

    :param text: with ``args`` as in ``log.info``.
    :param level: of ``logging``.
    """
    with fields(**named):
        log.log(level, text, *args, extra=_bound.get(), stacklevel=2)
