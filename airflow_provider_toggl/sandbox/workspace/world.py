"""The world: all records of one workspace, its clock, and the methods that every change goes through."""

from __future__ import annotations

import copy
import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any, Literal, TypeVar
from zoneinfo import ZoneInfo

from airflow_provider_toggl.sandbox.settings import Settings
from airflow_provider_toggl.sandbox.workspace.rates import RateHistories
from airflow_provider_toggl.sandbox.workspace.records import (
    Alert,
    AuditRecord,
    Client,
    Currency,
    Expense,
    Goal,
    Group,
    Invoice,
    Organization,
    Project,
    ProjectGroup,
    ProjectPeriod,
    ProjectUser,
    Tag,
    Task,
    TimeEntry,
    TimeEntryConstraints,
    Timesheet,
    TimesheetEvent,
    TimesheetSetup,
    User,
    Workspace,
)

Business = (
    Currency | TimesheetSetup | Timesheet | ProjectGroup | Invoice | Expense | Goal | Alert | TimeEntryConstraints
)
Entity = User | Client | Project | Tag | Task | ProjectUser | Group | TimeEntry | Business
EntityT = TypeVar(
    "EntityT",
    User,
    Client,
    Project,
    Tag,
    Task,
    ProjectUser,
    Group,
    TimeEntry,
    Currency,
    TimesheetSetup,
    Timesheet,
    ProjectGroup,
    Invoice,
    Expense,
    Goal,
    Alert,
    TimeEntryConstraints,
)
Action = Literal["created", "updated", "deleted"]

#: The kind of each record class.
KIND_OF: dict[type, str] = {
    User: "user",
    Client: "client",
    Project: "project",
    Tag: "tag",
    Task: "task",
    ProjectUser: "project_user",
    Group: "group",
    TimeEntry: "time_entry",
    Currency: "currency",
    TimesheetSetup: "timesheet_setup",
    Timesheet: "timesheet",
    ProjectGroup: "project_group",
    Invoice: "invoice",
    Expense: "expense",
    Goal: "goal",
    Alert: "alert",
    TimeEntryConstraints: "time_entry_constraints",
}
#: The stream of each kind, which is also the attribute of ``World`` that holds its records.
STREAM_OF: dict[str, str] = {
    "user": "users",
    "client": "clients",
    "project": "projects",
    "tag": "tags",
    "task": "tasks",
    "project_user": "project_users",
    "group": "groups",
    "time_entry": "time_entries",
    "currency": "currencies",
    "timesheet_setup": "timesheet_setups",
    "timesheet": "timesheets",
    "project_group": "project_groups",
    "invoice": "invoices",
    "expense": "expenses",
    "goal": "goals",
    "alert": "alerts",
    "time_entry_constraints": "time_entry_constraints",
}
#: The id before the first one of each kind. They resemble Toggl's ids of 2026.
FIRST_IDS: dict[str, int] = {
    "user": 10_650_000,
    "workspace_user": 12_180_000,
    "client": 65_300_000,
    "project": 201_870_000,
    "tag": 15_980_000,
    "task": 111_400_000,
    "project_user": 96_200_000,
    "group": 188_900,
    "rate": 5_120_000,
    "time_entry": 4_294_000_000,
    "currency": 100,
    "timesheet_setup": 71_000,
    "timesheet": 900_000,
    "project_group": 260_000,
    "invoice": 350_000,
    "expense": 120_000,
    "goal": 48_000,
    "alert": 31_000,
    "audit_record": 5_510_000,
    "timesheet_event": 2_340_000,
}
#: What the audit log is about (https://toggl.com/track/how-to-audit-time-tracking-data); rates are of these.
AUDITED = ("user", "client", "project", "tag", "project_user", "task", "time_entry")
#: The workspace with these ids. Other workspaces add an offset, because Toggl's ids are globally unique.
DEFAULT_WORKSPACE_ID = 7_000_001
#: The offset between two workspaces: more ids than a workspace has of one kind.
ID_SPAN = 2**33
#: How many workspaces have ids of their own; with more, ids would exceed 2**53.
WORKSPACES = 2**19
#: Most old versions of time entries that are kept for reports that lag behind.
HISTORY_LENGTH = 200_000


class ErrorResponse(Exception):
    """An error answer of an API: the HTTP status, and the text that becomes the JSON body."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status
        self.text = text


@dataclass(frozen=True)
class WorldChange:
    """One change, as listeners receive it; ``obj`` is the record itself, which may change later."""

    kind: str
    action: Action
    obj: Entity
    actor: User | None
    request: Mapping[str, Any] | None
    at: datetime


Listener = Callable[[WorldChange], None]


def id_offset(workspace_id: int) -> int:
    """Return the offset of all ids of a workspace; 0 for the default workspace."""
    return (workspace_id - DEFAULT_WORKSPACE_ID) % WORKSPACES * ID_SPAN


def live(records: Iterable[EntityT]) -> list[EntityT]:
    """Return the records that are not deleted."""
    return [record for record in records if record.deleted_at is None]


def get_live(records: Mapping[int, EntityT], id_: int, status: int, text: str) -> EntityT:
    """Return a record that is not deleted.

    :raises ErrorResponse: with this status and text, if there is none.
    """
    record = records.get(id_)
    if record is None or record.deleted_at is not None:
        raise ErrorResponse(status, text)
    return record


def utc_now() -> datetime:
    """Return the real time, in UTC."""
    return datetime.now(timezone.utc)


def check_zone(name: str) -> str:
    """Return the name of a time zone, if it exists.

    :raises ValueError: there is no such time zone.
    """
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"No such time zone: {name}") from error
    return name


def amount_cents(seconds: int, hourly_rate_cents: int) -> int:
    """Return the price of a duration in cents; half a cent is rounded up."""
    return (2 * seconds * hourly_rate_cents + 3600) // 7200


def seen_terms(world: World, user: User) -> User:
    """Return a user without the rates, costs and working hours that the plan or the token does not show.

    Rates and working hours are on paid plans ("Paid feature" in the definitions); labor costs, on Premium (Toggl's
    price list).
    """
    hidden: dict[str, Any] = {}
    plan = world.settings.plan
    if plan == "free":
        hidden |= dict.fromkeys(("rate_cents", "rate_changed_at", "working_hours_in_minutes"))
    if plan in ("free", "starter") or not world.settings.labor_costs_shown:
        hidden |= dict.fromkeys(("labor_cost_cents", "labor_cost_changed_at"))
    return dataclasses.replace(user, **hidden)


class World:
    """One organization with one workspace and all its records.

    Deleted records stay, with ``deleted_at`` set. All changes go through ``store``, ``change`` and ``mark_deleted``,
    which set ``at``, keep old versions of time entries, increase ``version`` and call ``listeners``.

    :param clock: returns the real time (UTC); the world's time is ``offset`` seconds later.
    """

    def __init__(
        self,
        organization: Organization,
        workspace: Workspace,
        owner: User,
        settings: Settings | None = None,
        *,
        offset: float = 0.0,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.organization = organization
        self.workspace = workspace
        self.owner = owner
        self.settings = settings if settings is not None else Settings()
        self.offset = offset
        self.version = 0
        self.users: dict[int, User] = {}
        self.clients: dict[int, Client] = {}
        self.projects: dict[int, Project] = {}
        self.tags: dict[int, Tag] = {}
        self.tasks: dict[int, Task] = {}
        self.project_users: dict[int, ProjectUser] = {}
        self.groups: dict[int, Group] = {}
        self.time_entries: dict[int, TimeEntry] = {}
        self.rates = RateHistories(self)
        self.currencies: dict[int, Currency] = {}
        self.timesheet_setups: dict[int, TimesheetSetup] = {}
        self.timesheets: dict[int, Timesheet] = {}
        self.project_groups: dict[int, ProjectGroup] = {}
        self.invoices: dict[int, Invoice] = {}
        self.expenses: dict[int, Expense] = {}
        self.goals: dict[int, Goal] = {}
        self.alerts: dict[int, Alert] = {}
        constraints = TimeEntryConstraints(workspace.id, workspace.id, workspace.at)
        self.time_entry_constraints = {constraints.id: constraints}
        self.audit_log: dict[int, AuditRecord] = {}
        self.timesheet_history: dict[int, TimesheetEvent] = {}
        self.listeners: list[Listener] = []
        #: (unix time of the change by the world's clock, entry id, the entry before it; None if it was created).
        self.history: deque[tuple[float, int, TimeEntry | None]] = deque(maxlen=HISTORY_LENGTH)
        self._clock = clock
        self.id_offset = id_offset(workspace.id)
        self._last_ids = {kind: first + self.id_offset for kind, first in FIRST_IDS.items()}
        self._running: dict[int, int] = {}
        #: Sums that are computed once and updated with each change, because computing them anew takes too long.
        self._tracked: tuple[dict[int, int], dict[int, int]] | None = None
        self.load(owner)

    # time

    def now(self) -> datetime:
        """Return the world's time, in UTC."""
        return self._clock() + timedelta(seconds=self.offset)

    def advance(self, seconds: float) -> None:
        """Advance the clock.

        :raises ValueError: the seconds are negative; that would contradict every ``at``.
        """
        if seconds < 0:
            raise ValueError("The sandbox's clock cannot go back.")
        self.offset += seconds

    def retention_horizon(self) -> datetime | None:
        """Return the earliest start of time entries that the plan shows, to the minute; None if it shows all."""
        days = self.settings.retention_days
        if days is None or self.settings.plan != "free":
            return None
        return (self.now() - timedelta(days=days)).replace(second=0, microsecond=0)

    # finding

    @property
    def workspaces(self) -> dict[int, Workspace]:
        """Return the workspace by its id."""
        return {self.workspace.id: self.workspace}

    @property
    def organizations(self) -> dict[int, Organization]:
        """Return the organization by its id."""
        return {self.organization.id: self.organization}

    def has_audit_log(self) -> bool:
        """Return whether the plan has the audit log."""
        return self.settings.plan in ("premium", "enterprise")

    def has_approvals(self) -> bool:
        """Return whether the plan has timesheets."""
        return self.settings.plan in ("premium", "enterprise")

    def periods_of(self, project: Project) -> list[ProjectPeriod]:
        """Return the periods of a project up to the current one; none if it, or on the plan no project, recurs."""
        periods: list[ProjectPeriod] = []
        if project.recurs_days is None or self.settings.plan == "free":
            return periods
        start, length = project.start_date, timedelta(days=project.recurs_days)
        while start <= self.now().date():
            end = start + length - timedelta(days=1)
            periods.append(ProjectPeriod(project.workspace_id, project.id, start, end, project.at))
            start += length
        return periods

    @property
    def project_periods(self) -> dict[tuple[int, date], ProjectPeriod]:
        """Return the periods of all recurring projects that are not archived, by project and first day."""
        recurring = [project for project in live(self.projects.values()) if project.active]
        periods = [period for project in recurring for period in self.periods_of(project)]
        return {(period.project_id, period.start_date): period for period in periods}

    def has_team_goals(self) -> bool:
        """Return whether the plan has goals of the team."""
        return self.settings.plan != "free" or not self.settings.team_goals_need_paid_plan

    def has_alerts(self) -> bool:
        """Return whether the plan has alerts."""
        return self.settings.plan != "free" or not self.settings.alerts_need_paid_plan

    def user_by_token(self, token: str) -> User | None:
        """Return the user with that API token, unless they were removed from the workspace."""
        for user in self.users.values():
            if user.token == token:
                return None if user.deleted_at else user
        return None

    def running_entry(self, user_id: int) -> TimeEntry | None:
        """Return the running time entry of a user."""
        entry_id = self._running.get(user_id)
        return None if entry_id is None else self.time_entries[entry_id]

    def tag_by_name(self, name: str) -> Tag | None:
        """Return the tag with that name, unless it is deleted; names are case-sensitive."""
        return next((tag for tag in self.tags.values() if tag.name == name and tag.deleted_at is None), None)

    def tracked_seconds(self) -> tuple[dict[int, int], dict[int, int]]:
        """Return tracked seconds by project id and by task id; the dicts change with the world."""
        if self._tracked is None:
            self._tracked = ({}, {})
            for entry in self.time_entries.values():
                self._track(entry, 1)
        return self._tracked

    def rate_of(self, entry: TimeEntry) -> int | None:
        """Return the hourly rate that held when a time entry started, in cents; None if it has none."""
        if not entry.billable or self.settings.plan == "free":
            return None
        return self.rates.cents_of("billable_rates", entry)

    def entries_as_of(self, lag_seconds: float) -> Mapping[int, TimeEntry]:
        """Return the time entries as they were ``lag_seconds`` ago.

        Without changes since then this is the world's own dict, which changes with it. Only the last
        ``HISTORY_LENGTH`` changes can be undone.
        """
        horizon = self.now().timestamp() - lag_seconds
        undone: dict[int, TimeEntry | None] = {}
        for moment, entry_id, before in reversed(self.history):
            if moment <= horizon:
                break
            undone[entry_id] = before
        if not undone:
            return self.time_entries
        past = dict(self.time_entries)
        for entry_id, before in undone.items():
            if before is None:
                del past[entry_id]
            else:
                past[entry_id] = before
        return past

    # changing

    def next_id(self, kind: str) -> int:
        """Return an unused id of a kind: increasing, with gaps like Toggl's, the same ones in the same world."""
        last = self._last_ids[kind]
        step = 1 + (last * 2_654_435_761 >> 7) % (997 if kind == "time_entry" else 7)
        self._last_ids[kind] = last + step
        return last + step

    def start_ids_after(self, kind: str, last_id: int) -> None:
        """Make the next id of a kind greater than this one."""
        self._last_ids[kind] = max(self._last_ids[kind], last_id)

    def load(self, obj: Entity) -> None:
        """Add a record without calling listeners."""
        self._table(obj)[obj.id] = obj
        if isinstance(obj, TimeEntry):
            self._update_running(obj)
            self._track(obj, 1)

    def store(self, obj: EntityT, actor: User | None = None, request: Mapping[str, Any] | None = None) -> EntityT:
        """Add a new record and call listeners."""
        self.load(obj)
        if isinstance(obj, TimeEntry):
            self.history.append((self.now().timestamp(), obj.id, None))
        self.record_change(KIND_OF[type(obj)], "created", obj, actor, request)
        return obj

    def change(
        self,
        obj: EntityT,
        fields: Mapping[str, Any],
        actor: User | None = None,
        request: Mapping[str, Any] | None = None,
        *,
        moves_at: bool = True,
    ) -> EntityT:
        """Set fields of a record, set its ``at`` to now unless ``moves_at`` is false, and call listeners.

        Lists are replaced, never changed in place, because older versions share them.
        """
        self._apply(obj, fields, moves_at)
        self.record_change(KIND_OF[type(obj)], "updated", obj, actor, request)
        return obj

    def mark_deleted(
        self, obj: EntityT, actor: User | None = None, request: Mapping[str, Any] | None = None
    ) -> EntityT:
        """Mark a record as deleted: set ``deleted_at`` and ``at`` to now, and call listeners."""
        self._apply(obj, {"deleted_at": self.now()}, True)
        obj.deleted_at = obj.at
        self.record_change(KIND_OF[type(obj)], "deleted", obj, actor, request)
        return obj

    def change_user(
        self,
        user: User,
        *,
        is_admin: bool | None = None,
        timezone: str | None = None,
        inactive: bool | None = None,
    ) -> User:
        """Change the rights or the time zone of a user.

        :param timezone: an IANA name; reports for this user have days of that zone.
        :raises ValueError: there is no such time zone; nothing was changed.
        """
        asked = {"is_admin": is_admin, "timezone": timezone, "inactive": inactive}
        if timezone is not None:
            check_zone(timezone)
        return self.change(user, {name: value for name, value in asked.items() if value is not None}, self.owner)

    def record_change(
        self,
        kind: str,
        action: Action,
        obj: Entity,
        actor: User | None,
        request: Mapping[str, Any] | None,
    ) -> None:
        """Increase ``version``, write to the audit log and call ``listeners``, once for each change."""
        self.version += 1
        # https://support.toggl.com/en/articles/9877445-audit-log: only entries that somebody else changed.
        if kind in AUDITED and not (isinstance(obj, TimeEntry) and actor is not None and actor.id == obj.user_id):
            self.audit(action, kind, obj.id, actor, self.now())
        if isinstance(obj, Timesheet) and action == "updated":
            self.note_timesheet(obj, None if actor is None else actor.id, self.now())
        if self.listeners:
            change = WorldChange(kind, action, obj, actor, request, self.now())
            for listener in self.listeners:
                listener(change)

    def audit(self, action: Action, kind: str, id_: int, actor: User | None, at: datetime) -> None:
        """Write to the audit log that a user did something to a record."""
        record = AuditRecord(
            self.next_id("audit_record"),
            self.organization.id,
            self.workspace.id,
            None if actor is None else actor.id,
            action,
            kind,
            id_,
            at,
        )
        self.audit_log[record.id] = record

    def note_timesheet(self, sheet: Timesheet, user_id: int | None, at: datetime, action: str = "") -> None:
        """Write to the history of a timesheet that a user moved it to its present status, or did something else."""
        id_, done = self.next_id("timesheet_event"), action or sheet.status.replace("open", "reopened")
        comment = sheet.rejection_comment if done == "rejected" else ""
        self.timesheet_history[id_] = TimesheetEvent(id_, sheet, user_id, done, comment, at)

    def _apply(self, obj: Entity, fields: Mapping[str, Any], moves_at: bool) -> None:
        now = self.now()
        if isinstance(obj, TimeEntry):
            self.history.append((now.timestamp(), obj.id, copy.copy(obj)))
            self._track(obj, -1)
        for name, value in fields.items():
            setattr(obj, name, value)
        if moves_at:
            obj.at = now
        if isinstance(obj, TimeEntry):
            self._update_running(obj)
            self._track(obj, 1)

    def _track(self, entry: TimeEntry, sign: int) -> None:
        if self._tracked is None or entry.project_id is None or entry.deleted_at is not None or entry.duration <= 0:
            return
        for sums, id_ in zip(self._tracked, (entry.project_id, entry.task_id), strict=True):
            if id_ is None:
                continue
            left = sums.get(id_, 0) + sign * entry.duration
            if left:
                sums[id_] = left
            else:
                del sums[id_]

    def _update_running(self, entry: TimeEntry) -> None:
        for user_id in [user for user, entry_id in self._running.items() if entry_id == entry.id]:
            del self._running[user_id]
        if entry.is_running and entry.deleted_at is None:
            self._running[entry.user_id] = entry.id

    def _table(self, obj: Entity) -> dict[int, Any]:
        table: dict[int, Any] = getattr(self, STREAM_OF[KIND_OF[type(obj)]])
        return table
