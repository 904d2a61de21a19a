"""The record of a task that waits for Toggl. The page, ``status`` and ``quota`` show it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from airflow_provider_toggl.core.instants import parse_instant
from airflow_provider_toggl.core.keys import quote_key
from airflow_provider_toggl.core.operate.findings import to_json
from airflow_provider_toggl.core.wording import duration, plural

WaitReason = Literal["quota", "rate", "permit", "database"]

OVERDUE = timedelta(hours=1)
"""A task whose record is still there so long after the end of its wait was cleared, killed or deleted."""

_WORDS: Mapping[WaitReason, str] = {
    "quota": "the hourly quota of Toggl",
    "rate": "the end of a rate limit of Toggl (429)",
    "permit": "a permit, after the requests of other tasks",
    "database": "the database of the shared rate limits",
}


@dataclass(frozen=True)
class WaitingTask:
    """A waiting task and its progress.

    :param task: ``<dag_id>.<task_id>``, with ``[<map index>]`` for a mapped task, and the run ID in parentheses.
    :param workspace_id: None if the task has none.
    :param stream: what it loads or checks; None for another task.
    :param reason: ``quota``: the hourly quota is used up, or what is left is the shares of other tasks; ``rate``:
        Toggl answered 429; ``permit``: it waits for the pace, or in its slot for the shares of other tasks;
        ``database``: the database of the shared rate limits cannot be used.
    :param since: when the wait began; aware.
    :param until: when the task resumes; aware.
    :param requests_done: requests sent by the task, before this wait and earlier ones.
    :param requests_left: requests still to be sent at least: earlier years and repairs may come in addition. None if
        unknown.
    :param done_at: when these will be done with this quota; None if unknown.
    :param rows_done: rows loaded by the task so far; None if it loads none.
    :param warehouse: connection and schema that it loads into; empty if it loads none.
    """

    task: str
    workspace_id: int | None
    stream: str | None
    reason: WaitReason
    since: datetime
    until: datetime
    requests_done: int
    requests_left: int | None
    done_at: datetime | None
    rows_done: int | None = None
    warehouse: str = ""

    @property
    def what_for(self) -> str:
        """What the task waits for, to complete the sentence "waits for …"."""
        return _WORDS[self.reason]

    def is_current(self, now: datetime) -> bool:
        """Whether the task can still be waiting. A task that was killed or cleared leaves its record behind."""
        return now <= self.until + OVERDUE

    def lines(self, now: datetime) -> list[str]:
        """Return the facts for a log or a terminal, one per line."""
        left = max(0.0, (self.until - now).total_seconds())
        found = [f"Waits for {self.what_for} until {self.until:%Y-%m-%d %H:%M:%S %Z}, {duration(left)} from now."]
        done = f"Done so far: {plural(self.requests_done, 'request')}"
        if self.rows_done is not None:
            done += f", {plural(self.rows_done, 'row')}"
        found.append(f"{done}.")
        if self.requests_left is not None:
            found.append(f"Left: at least {plural(self.requests_left, 'request')}.")
        if self.done_at is not None:
            found.append(f"Done at {self.done_at:%Y-%m-%d %H:%M %Z} or later.")
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON, times as RFC 3339."""
        return dict(to_json(self))


def waiting_key(conn_id: str, task: str = "") -> str:
    """Return the key of a waiting task's record, or the prefix of all those of a connection."""
    return f"waiting/{quote_key(conn_id)}/{quote_key(task)}"


def waiting_from(value: Mapping[str, Any]) -> WaitingTask | None:
    """Return the task of a record, None for a record that another version of this package wrote in another form."""
    try:
        done_at = value.get("done_at")
        reason = value["reason"]
        if reason not in get_args(WaitReason):
            return None
        return WaitingTask(
            task=str(value["task"]),
            workspace_id=_whole(value.get("workspace_id")),
            stream=None if value.get("stream") is None else str(value["stream"]),
            reason=reason,
            since=parse_instant(str(value["since"])),
            until=parse_instant(str(value["until"])),
            requests_done=int(value["requests_done"]),
            requests_left=_whole(value.get("requests_left")),
            done_at=None if done_at is None else parse_instant(str(done_at)),
            rows_done=_whole(value.get("rows_done")),
            warehouse=str(value.get("warehouse") or ""),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _whole(value: object) -> int | None:
    return None if value is None else int(str(value))
