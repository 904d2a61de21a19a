"""Time entries as a task wants them, and as Toggl tells of them: whether the one is the other. No I/O.

What is compared is what Toggl gives back of what was sent: workspace, start to the second, stop, description, project,
task and tags. It does not give back ``created_with``, and it has no key of the sender's for a time entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_toggl import __version__
from airflow_provider_toggl.core.errors import MalformedAnswer
from airflow_provider_toggl.core.instants import format_instant, parse_instant

#: Toggl wants to know what made an entry (https://engineering.toggl.com/docs/api/time_entries).
CREATED_WITH = f"airflow-provider-toggl/{__version__}"
#: More entries than that /me/time_entries does not give, whatever there is.
MAX_LISTED = 1000
#: Clocks of two machines may differ by this much.
CLOCK_SKEW = timedelta(minutes=2)
#: What ``FoundEntry.as_dict`` has.
ENTRY_KEYS = (
    "id",
    "workspace_id",
    "project_id",
    "task_id",
    "start",
    "stop",
    "tags",
    "billable",
    "running",
)


@dataclass(frozen=True)
class TimeEntrySpec:
    """A time entry that is to be there once.

    :param start: in UTC, whole seconds.
    :param stop: in UTC; None: it is to run.
    :param earliest: an entry that began since then is taken for it too; for a start that an earlier try of a task chose
        by its machine's clock, and nobody remembers.
    :param billable: None: what Toggl makes of it.
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
    def span(self) -> tuple[datetime, datetime]:
        """The first and the last moment that it can begin at."""
        if self.earliest is None:
            return self.start, self.start
        return self.earliest.replace(microsecond=0) - CLOCK_SKEW, self.start + CLOCK_SKEW

    def payload(self) -> dict[str, Any]:
        """Return it as the body of a POST."""
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
    """A time entry as Toggl tells of it; times are in UTC."""

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
        """Read a time entry of an answer.

        :raises MalformedAnswer: it is no object with an id, a workspace and a start.
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
            raise MalformedAnswer(f"Toggl's answer has a time entry that is none ({error!r}).") from None

    def as_dict(self) -> dict[str, Any]:
        """Return it as small, plain values, without its description; times as RFC 3339 in UTC."""
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


def is_match(wanted: TimeEntrySpec, found: ExistingTimeEntry) -> bool:
    """Whether an entry can be the one wanted, as far as Toggl tells.

    One that was to run may have been stopped since. Whether it is billable may not be as it was said: a plan that
    lacks it, or a project that enforces its own, has the last word.
    """
    first, last = wanted.span
    # A task brings its project, so Toggl has one that nobody named.
    project_is_open = wanted.project_id is None and wanted.task_id is not None
    return (
        found.workspace_id == wanted.workspace_id
        and first <= found.start.replace(microsecond=0) <= last
        and (wanted.stop is None or found.stop == wanted.stop)
        and found.description.strip() == wanted.description.strip()
        and (project_is_open or found.project_id == wanted.project_id)
        and found.task_id == wanted.task_id
        and {tag.casefold() for tag in found.tags} == {tag.strip().casefold() for tag in wanted.tags}
    )


def find_matches(wanted: TimeEntrySpec, rows: Sequence[Any]) -> list[ExistingTimeEntry]:
    """Return the entries that can be the wanted one: those that run first, then the oldest.

    :raises MalformedAnswer: none is, and Toggl gave as many rows as it ever gives, so one may be missing.
    """
    live = [row for row in rows if not (isinstance(row, dict) and row.get("server_deleted_at"))]
    fitting = [found for found in map(ExistingTimeEntry.from_http, live) if is_match(wanted, found)]
    if not fitting and len(rows) >= MAX_LISTED:
        raise MalformedAnswer(
            f"Toggl listed {len(rows)} time entries, and lists no more: the wanted one may be among the others."
        )
    return sorted(fitting, key=lambda found: (not found.is_running, found.entry_id))


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no id")
    return value
