"""Time entries to create, time entries in Toggl, and whether one matches the other. No I/O.

Toggl has no idempotency keys and does not return ``created_with``. So two entries match if they have the same
workspace, start (to the second), stop, description, project, task and tags; :func:`is_match` has the exceptions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_toggl import __version__
from airflow_provider_toggl.core.errors import MalformedAnswer
from airflow_provider_toggl.core.instants import format_instant, parse_instant

#: Toggl requires the name of the program that creates an entry (https://engineering.toggl.com/docs/api/time_entries).
CREATED_WITH = f"airflow-provider-toggl/{__version__}"
#: ``/me/time_entries`` returns at most this many entries.
MAX_LISTED = 1000
#: Clocks of two machines may differ by at most this much.
CLOCK_SKEW = timedelta(minutes=2)
#: Keys of ``ExistingTimeEntry.as_dict``.
ENTRY_KEYS = ("id", "workspace_id", "project_id", "task_id", "start", "stop", "tags", "billable", "running")


@dataclass(frozen=True)
class TimeEntrySpec:
    """A time entry that must exist once.

    :param start: in UTC, whole seconds.
    :param stop: in UTC, whole seconds; None for a running entry.
    :param billable: None for Toggl's default.
    :param earliest: set on a retry that does not know which start the first try sent: any start from here to ``start``
        matches, give or take ``CLOCK_SKEW``.
    """

    workspace_id: int
    start: datetime
    stop: datetime | None = None
    description: str = ""
    project_id: int | None = None
    task_id: int | None = None
    tags: tuple[str, ...] = ()
    billable: bool | None = None
    earliest: datetime | None = None

    @property
    def start_range(self) -> tuple[datetime, datetime]:
        """The earliest and the latest start of a matching entry."""
        if self.earliest is None:
            return self.start, self.start
        return self.earliest.replace(microsecond=0) - CLOCK_SKEW, self.start + CLOCK_SKEW

    def payload(self) -> dict[str, Any]:
        """Return the body of the POST that creates it."""
        seconds = -1 if self.stop is None else (self.stop - self.start) // timedelta(seconds=1)
        body = {
            "created_with": CREATED_WITH,
            "workspace_id": self.workspace_id,
            "start": format_instant(self.start),
            "stop": None if self.stop is None else format_instant(self.stop),
            "duration": seconds,
            "description": self.description or None,
            "project_id": self.project_id,
            "task_id": self.task_id,
            "tags": list(self.tags) or None,
            "billable": self.billable,
        }
        return {name: value for name, value in body.items() if value is not None}


@dataclass(frozen=True)
class ExistingTimeEntry:
    """A time entry in Toggl. Times are in UTC."""

    entry_id: int
    workspace_id: int
    start: datetime
    stop: datetime | None
    description: str
    project_id: int | None
    task_id: int | None
    tags: tuple[str, ...]
    billable: bool
    is_running: bool

    @classmethod
    def from_http(cls, row: Any) -> ExistingTimeEntry:
        """Return the time entry of a response.

        :raises MalformedAnswer: it has no ID, workspace or start.
        """
        try:
            duration, stop = row.get("duration"), row.get("stop")
            return cls(
                entry_id=_whole(row["id"]),
                workspace_id=_whole(row["workspace_id"]),
                start=parse_instant(row["start"]),
                stop=parse_instant(stop) if stop else None,
                description=str(row.get("description") or ""),
                project_id=row.get("project_id"),
                task_id=row.get("task_id"),
                tags=tuple(sorted(str(tag) for tag in row.get("tags") or ())),
                billable=row.get("billable") is True,
                is_running=not stop and isinstance(duration, int) and duration < 0,
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise MalformedAnswer(f"Toggl's response has an invalid time entry ({error!r}).") from None

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, without its description. Times are RFC 3339 in UTC."""
        return {
            "id": self.entry_id,
            "workspace_id": self.workspace_id,
            "project_id": self.project_id,
            "task_id": self.task_id,
            "start": format_instant(self.start),
            "stop": None if self.stop is None else format_instant(self.stop),
            "tags": list(self.tags),
            "billable": self.billable,
            "running": self.is_running,
        }


def is_match(spec: TimeEntrySpec, found: ExistingTimeEntry) -> bool:
    """Return whether an entry matches.

    A running entry may have been stopped since. ``billable`` is not compared, because the plan or the project may
    override it.
    """
    first, last = spec.start_range
    # Toggl adds the project of a task.
    project_is_open = spec.project_id is None and spec.task_id is not None
    return (
        found.workspace_id == spec.workspace_id
        and first <= found.start.replace(microsecond=0) <= last
        and (spec.stop is None or found.stop == spec.stop)
        and found.description.strip() == spec.description.strip()
        and (project_is_open or found.project_id == spec.project_id)
        and found.task_id == spec.task_id
        and {tag.casefold() for tag in found.tags} == {tag.strip().casefold() for tag in spec.tags}
    )


def find_matches(spec: TimeEntrySpec, rows: Sequence[Any]) -> list[ExistingTimeEntry]:
    """Return the entries that match: running ones first, then the oldest.

    :raises MalformedAnswer: none matches, and the list has the maximum length, so that a match may be missing.
    """
    live = [row for row in rows if not (isinstance(row, dict) and row.get("server_deleted_at"))]
    fitting = [found for found in map(ExistingTimeEntry.from_http, live) if is_match(spec, found)]
    if not fitting and len(rows) >= MAX_LISTED:
        raise MalformedAnswer(
            f"Toggl listed {len(rows)} time entries, its maximum. The one that is looked for may be among the others."
        )
    return sorted(fitting, key=lambda found: (not found.is_running, found.entry_id))


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is not an ID")
    return value
