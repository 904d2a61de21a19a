"""The records of the sandbox: users, projects, time entries and the rest, independent of Toggl's JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

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
    deleted_at: None = None


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
    deleted_at: None = None


@dataclass
class User:
    """A user of the workspace; ``token`` is their API token, ``timezone`` an IANA name.

    Money is per hour; ``working_hours_in_minutes`` is of a day.
    """

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
    rate_cents: int | None = None
    rate_changed_at: datetime | None = None
    labor_cost_cents: int | None = None
    labor_cost_changed_at: datetime | None = None
    working_hours_in_minutes: int | None = None


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
    :param estimated_seconds: the estimate of its time, whole hours; of a recurring project, that of a period.
    :param recurs_days: how long each of its periods is, from ``start_date`` on; None if it does not recur.
    :param fixed_fee: in units of the currency. No write sets it, nor the end.
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
    recurs_days: int | None = None
    deleted_at: datetime | None = None
    fixed_fee: float | None = None
    end_date: date | None = None


@dataclass(frozen=True)
class ProjectPeriod:
    """A period of a recurring project; Toggl's has no id."""

    workspace_id: int
    project_id: int
    start_date: date
    end_date: date
    at: datetime
    deleted_at: None = None


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
class Currency:
    """A currency that the workspace uses."""

    id: int
    workspace_id: int
    iso_code: str
    at: datetime
    deleted_at: datetime | None = None


@dataclass
class TimesheetSetup:
    """The rule by which a member hands in timesheets every week."""

    id: int
    workspace_id: int
    member_id: int
    approver_id: int
    start_date: date
    at: datetime
    deleted_at: datetime | None = None


@dataclass
class Timesheet:
    """One week of a member: ``open``, ``submitted``, ``approved`` or ``rejected``.

    Toggl's definitions have no words for the status: these are invented.
    """

    id: int
    workspace_id: int
    timesheet_setup_id: int
    member_id: int
    start_date: date
    at: datetime
    timezone: str
    working_hours_in_minutes: int | None = None
    status: str = "open"
    submitted_at: datetime | None = None
    decided_at: datetime | None = None
    decided_by: int | None = None
    rejection_comment: str = ""
    deleted_at: datetime | None = None

    @property
    def end_date(self) -> date:
        """Return the last day of the week."""
        return self.start_date + timedelta(days=6)

    def decide(self, status: str, by: int, at: datetime) -> None:
        """Approve or reject it."""
        self.status, self.decided_by, self.decided_at = status, by, at
        self.rejection_comment = "Please add descriptions" if status == "rejected" else ""
        self.at = at


@dataclass
class TimesheetEvent:
    """What a user did to a timesheet. Toggl's definitions have no fields for it: these are invented.

    :param action: ``submitted``, ``approved``, ``rejected`` or ``reopened``.
    """

    id: int
    sheet: Timesheet
    user_id: int | None
    action: str
    comment: str
    at: datetime
    deleted_at: None = None


@dataclass
class ProjectGroup:
    """A group's access to a project."""

    id: int
    workspace_id: int
    project_id: int
    group_id: int
    at: datetime
    deleted_at: datetime | None = None


@dataclass
class Invoice:
    """An invoice; an item is a quantity, an amount in cents and a text."""

    id: int
    workspace_id: int
    user_id: int
    document_id: str
    issued_on: date
    due_date: date
    currency: str
    items: list[tuple[int, int, str]]
    created_at: datetime
    at: datetime
    deleted_at: datetime | None = None


@dataclass
class Expense:
    """An expense of a user; ``total_amount`` is in cents."""

    id: int
    workspace_id: int
    user_id: int
    date_of_expense: date
    category: str
    description: str
    currency: str
    total_amount: int
    state: str
    created_at: datetime
    at: datetime
    deleted_at: datetime | None = None


@dataclass
class Goal:
    """A goal of a user for each week; ``tracked_seconds`` is of the current one, and does not follow time entries."""

    id: int
    workspace_id: int
    user_id: int
    creator_user_id: int
    name: str
    target_seconds: int
    start_date: date
    at: datetime
    tracked_seconds: int = 0
    team_goal: bool = True
    active: bool = True
    project_ids: list[int] = field(default_factory=list)
    deleted_at: datetime | None = None


@dataclass
class Alert:
    """An alert at shares of a project's estimate, in percent; it is sent to roles and users."""

    id: int
    workspace_id: int
    project_id: int
    at: datetime
    thresholds: list[int]
    receiver_roles: list[str]
    receiver_users: list[int]
    deleted_at: datetime | None = None


@dataclass
class TimeEntryConstraints:
    """What a time entry must have in a workspace, whose id it has."""

    id: int
    workspace_id: int
    at: datetime
    time_entry_constraints_enabled: bool = True
    description_present: bool = True
    project_present: bool = True
    task_present: bool = False
    tag_present: bool = False
    deleted_at: datetime | None = None


@dataclass
class AuditRecord:
    """What a user did to a record, for the audit log. Toggl's definitions have no fields for it: these are invented.

    :param action: ``created``, ``updated`` or ``deleted``.
    :param entity_type: the kind of the record, as in webhooks.
    """

    id: int
    organization_id: int
    workspace_id: int
    user_id: int | None
    action: str
    entity_type: str
    entity_id: int
    at: datetime
    deleted_at: None = None


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
