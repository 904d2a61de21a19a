"""The records of the sandbox: users, projects, time entries and the rest, independent of Toggl's JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime

#: The project colours that every plan allows.
PALETTE = (
    "#0b83d9", "#9e5bd9", "#d94182", "#e36a00", "#bf7000", "#2da608", "#06a893",
    "#c9806b", "#465bb3", "#990099", "#c7af14", "#566614", "#d92b2b", "#525266",
)  # fmt: skip


@dataclass
class Organization:
    """An organization; its plan decides quota and features."""

    id: int
    name: str
    created_at: datetime


@dataclass
class Workspace:
    """A workspace of an organization.

    ``rounding`` is -1 down, 0 nearest, 1 up; ``rounding_minutes`` 0 means no rounding.
    """

    id: int
    organization_id: int
    name: str
    at: datetime
    default_currency: str = "USD"
    rounding: int = 1
    rounding_minutes: int = 0


@dataclass
class User:
    """A user of the workspace; ``token`` is their API token, ``timezone`` an IANA name."""

    id: int
    workspace_user_id: int
    fullname: str
    email: str
    timezone: str
    token: str
    is_admin: bool
    created_at: datetime
    at: datetime
    inactive: bool = False
    deleted_at: datetime | None = None


@dataclass
class Client:
    """A client."""

    id: int
    workspace_id: int
    name: str
    at: datetime
    creator_id: int
    archived: bool = False
    notes: str = ""
    deleted_at: datetime | None = None


@dataclass
class Project:
    """A project.

    :param hourly_rate_cents: prices its billable time entries on plans with rates.
    :param estimated_seconds: the estimate of its time, whole hours.
    """

    id: int
    workspace_id: int
    name: str
    at: datetime
    created_at: datetime
    color: str
    start_date: date
    client_id: int | None = None
    active: bool = True
    is_private: bool = False
    billable: bool = False
    hourly_rate_cents: int | None = None
    estimated_seconds: int | None = None
    deleted_at: datetime | None = None


@dataclass
class Tag:
    """A tag."""

    id: int
    workspace_id: int
    name: str
    at: datetime
    creator_id: int
    deleted_at: datetime | None = None


@dataclass
class Task:
    """A task of a project."""

    id: int
    workspace_id: int
    project_id: int
    name: str
    at: datetime
    user_id: int | None = None
    active: bool = True
    estimated_seconds: int | None = None
    deleted_at: datetime | None = None


@dataclass
class ProjectUser:
    """A member of a project."""

    id: int
    workspace_id: int
    project_id: int
    user_id: int
    at: datetime
    manager: bool = False
    rate_cents: int | None = None
    deleted_at: datetime | None = None


@dataclass
class Group:
    """A group of users."""

    id: int
    workspace_id: int
    name: str
    at: datetime
    user_ids: list[int] = field(default_factory=list)
    deleted_at: datetime | None = None


@dataclass
class TimeEntry:
    """A time entry.

    Without ``stop``, a negative ``duration`` means that it is running; a ``duration`` of 0, that it was created without
    a stop. ``start`` and ``stop`` are whole seconds, ``at`` has microseconds.
    """

    id: int
    workspace_id: int
    user_id: int
    start: datetime
    stop: datetime | None
    duration: int
    at: datetime
    description: str | None = None
    project_id: int | None = None
    task_id: int | None = None
    tag_ids: list[int] = field(default_factory=list)
    billable: bool = False
    created_with: str = "sandbox"
    deleted_at: datetime | None = None

    @property
    def is_running(self) -> bool:
        """Return whether it is running."""
        return self.stop is None and self.duration < 0
