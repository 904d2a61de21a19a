"""Time entries as a task wants them, and as Toggl tells of them: whether the one is the other. No I/O.

What is compared is what Toggl gives back of what was sent: workspace, start to the second, stop, description, project,
task, tags and billable. It does not give back ``created_with``, and it has no key of the sender's for a time entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_provider_toggl import __version__
from airflow_provider_toggl.core.errors import ConfigurationError, MalformedAnswer
from airflow_provider_toggl.core.instants import parse_instant

#: Toggl wants to know what made an entry (https://engineering.toggl.com/docs/api/time_entries).
CREATED_WITH = f"airflow-provider-toggl/{__version__}"
#: More entries than that /me/time_entries does not give, whatever there is.
MOST_LISTED = 1000
#: Clocks of two machines may differ by this much.
SKEW = timedelta(minutes=2)
#: Fields of an entry that an update may set.
CHANGEABLE = (
    "description",
    "start",
    "stop",
    "duration",
    "project_id",
    "task_id",
    "tags",
    "tag_ids",
    "tag_action",
    "billable",
)

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
class WantedEntry:
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
        return self.earliest.replace(microsecond=0) - SKEW, self.start + SKEW

    def payload(self) -> dict[str, Any]:
        """Return it as the body of a POST."""
        seconds = -1 if self.stop is None else (self.stop - self.start) // timedelta(seconds=1)
        body = {
            "created_with": CREATED_WITH,
            "workspace_id": self.workspace_id,
            "start": instant_text(self.start),
            "stop": None if self.stop is None else instant_text(self.stop),
            "duration": seconds,
            "description": self.description or None,
            "project_id": self.project_id,
            "task_id": self.task_id,
            "tags": list(self.tags) or None,
            "billable": self.billable,
        }
        return {name: value for name, value in body.items() if value is not None}


@dataclass(frozen=True)
class FoundEntry:
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
    def from_http(cls, row: Any) -> FoundEntry:
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
            "start": instant_text(self.start),
            "stop": None if self.stop is None else instant_text(self.stop),
            "tags": list(self.tags),
            "billable": self.billable,
            "running": self.is_running,
        }


def is_that(wanted: WantedEntry, found: FoundEntry) -> bool:
    """Whether an entry can be the one wanted, as far as Toggl tells.

    One that was to run may have been stopped since; whether it is billable is compared only where it was said.
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
        and (wanted.billable is None or found.billable == wanted.billable)
    )


def find_that(wanted: WantedEntry, rows: Sequence[Any]) -> list[FoundEntry]:
    """Return the entries that can be the wanted one: those that run first, then the oldest.

    :raises MalformedAnswer: none is, and Toggl gave as many rows as it ever gives, so one may be missing.
    """
    live = [row for row in rows if not (isinstance(row, dict) and row.get("server_deleted_at"))]
    fitting = [found for found in map(FoundEntry.from_http, live) if is_that(wanted, found)]
    if not fitting and len(rows) >= MOST_LISTED:
        raise MalformedAnswer(
            f"Toggl listed {len(rows)} time entries, and lists no more: the wanted one may be among the others."
        )
    return sorted(fitting, key=lambda found: (not found.is_running, found.entry_id))


def read_moment(name: str, value: Any) -> datetime:
    """Return a moment that a task was given, in UTC, cut to whole seconds, as Toggl cuts it.

    :raises ConfigurationError: it is no date and time with its zone.
    """
    try:
        # As text it must have its zone.
        moment = parse_instant(value.isoformat() if isinstance(value, datetime) else str(value).strip())
    except ValueError as error:
        raise ConfigurationError(
            f"{name} is {value!r}; it must be a date and time with its zone, as 2026-03-10T09:00:00Z ({error})."
        ) from None
    return moment.replace(microsecond=0)


def read_tags(value: str | Iterable[str] | None) -> tuple[str, ...]:
    """Return tag names: of several, or of one text with commas between them, as a template renders."""
    names = value.split(",") if isinstance(value, str) else value or ()
    return tuple(dict.fromkeys(name.strip() for name in map(str, names) if name.strip()))


def read_changes(changes: Any) -> dict[str, Any]:
    """Return what an update is to send: known fields, with ids, times and tags in Toggl's form.

    :raises ConfigurationError: there is none, or one is unknown or cannot be what it is.
    """
    if not isinstance(changes, dict) or not changes:
        raise ConfigurationError("changes must be an object of what is to be changed, and have something in it.")
    unknown = sorted(set(map(str, changes)) - set(CHANGEABLE))
    if unknown:
        raise ConfigurationError(f"changes has {', '.join(unknown)}; what can be changed is {', '.join(CHANGEABLE)}.")
    return {name: _read_change(name, value) for name, value in changes.items()}


def read_id(name: str, value: Any) -> int | None:
    """Return an id that a task was given, perhaps as the text that a template renders; None for none.

    :raises ConfigurationError: it is no whole number above 0.
    """
    if value is None or str(value).strip() in ("", "None"):
        return None
    text = str(value).strip()
    if isinstance(value, bool) or not text.isascii() or not text.isdecimal() or int(text) == 0:
        raise ConfigurationError(f"{name} is {value!r}; it must be an id, a whole number.")
    return int(text)


def read_flag(name: str, value: Any) -> bool | None:
    """Return a yes or no that a task was given, perhaps as the text that a template renders; None for none.

    :raises ConfigurationError: it is neither.
    """
    if value is None or isinstance(value, bool):
        return value
    known = {"true": True, "1": True, "false": False, "0": False, "": None, "none": None}
    word = str(value).strip().lower()
    if word not in known:
        raise ConfigurationError(f"{name} is {value!r}; it must be true or false.")
    return known[word]


def instant_text(moment: datetime) -> str:
    """Return a moment in the form that Toggl takes, in UTC and whole seconds."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _read_change(name: str, value: Any) -> Any:
    if name in ("start", "stop"):
        return None if value is None else instant_text(read_moment(name, value))
    if name in ("project_id", "task_id"):
        return read_id(name, value)
    if name == "billable":
        return read_flag(name, value)
    if name == "tags":
        return list(read_tags(value))
    if name == "tag_ids":
        return [read_id(name, one) for one in (value.split(",") if isinstance(value, str) else value or ())]
    if name == "duration":
        try:
            return int(str(value).strip())
        except ValueError:
            raise ConfigurationError(f"duration is {value!r}; it must be whole seconds.") from None
    return None if value is None else str(value)


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no id")
    return value
