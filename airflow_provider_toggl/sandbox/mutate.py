"""Random changes for tests: ordinary edits of a workspace, and rare ones that break assumptions about time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, time, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from airflow_provider_toggl.sandbox.rest_v9.writes import clients, entries, projects, tags, tasks
from airflow_provider_toggl.sandbox.rest_v9.writes.request import WriteRequest
from airflow_provider_toggl.sandbox.workspace import rates
from airflow_provider_toggl.sandbox.workspace.records import (
    PALETTE,
    Project,
    ProjectUser,
    Task,
    TimeEntry,
    User,
)
from airflow_provider_toggl.sandbox.workspace.seed_entries import DAY, clock_changes
from airflow_provider_toggl.sandbox.workspace.truth import find_id
from airflow_provider_toggl.sandbox.workspace.world import STREAM_OF, EntityT, World, WorldChange

#: How many time entries are drawn at random until one fits.
DRAWS = 50
#: Reports have no days before 2006; one more year leaves room for time zones.
FIRST_YEAR = 2007

Mutation = dict[str, Any]


class UnknownMutation(ValueError):
    """There is no such kind of change."""


class NothingToChange(Exception):
    """The world has no record that a change needs."""


def mutate(world: World, *, seed: int, n: int, kinds: list[str] | None = None) -> list[Mutation]:
    """Make random changes.

    The same seed makes the same changes in the same world at the same time. No time lies in the future.

    :param n: how many; fewer only if no kind has anything left to change.
    :param kinds: names of ``KINDS``; by default the ordinary kinds, weighted towards time entries.
    :returns: the changes in order, each with ``kind``, ``stream``, ``ids`` (of that stream), ``id`` if there is only
        one, ``changed`` (stream to the ids of all records that were created, updated or deleted), and details of its
        kind.
    :raises UnknownMutation: a kind does not exist; nothing was changed.
    """
    unknown = sorted(set(kinds or ()) - set(KINDS))
    if unknown:
        raise UnknownMutation(f"No such kind: {', '.join(unknown)}. Kinds: {', '.join(KINDS)}.")
    chosen = list(dict.fromkeys(kinds)) if kinds else list(ORDINARY_KINDS)
    # With the version, a second call with the same seed draws other changes: the names of the first are taken.
    mutator = Mutator(world, random.Random(seed * 1_000_003 + world.version))
    mutations: list[Mutation] = []
    for _ in range(n):
        mutation = _draw(mutator, chosen)
        if mutation is None:
            break
        mutations.append(mutation)
    return mutations


def _draw(mutator: Mutator, kinds: list[str]) -> Mutation | None:
    """Make one change of a kind that has something to change; None if no kind has."""
    left = list(kinds)
    while left:
        kind = mutator.rng.choices(left, [KINDS[name][0] for name in left])[0]
        _, stream, make = KINDS[kind]
        try:
            mutation, changed = _record_changes(mutator, make)
        except NothingToChange:
            left.remove(kind)
            continue
        ids = mutation["ids"]
        single = {"id": ids[0]} if len(ids) == 1 else {}
        return {"kind": kind, "stream": stream, **single, **mutation, "changed": changed}
    return None


def _record_changes(mutator: Mutator, make: Callable[[Mutator], Mutation]) -> tuple[Mutation, dict[str, list[int]]]:
    """Make a change; return it with the ids of all records that changed, by stream."""
    changed: dict[str, set[int]] = {}

    def record(change: WorldChange) -> None:
        changed.setdefault(STREAM_OF[change.kind], set()).add(find_id(change.obj))
        if isinstance(change.obj, User):
            for stream in ("workspace_users", "organization_users"):
                changed.setdefault(stream, set()).add(change.obj.workspace_user_id)
        if isinstance(change.obj, TimeEntry):
            (mutator.deleted.discard if change.obj.deleted_at is None else mutator.deleted.add)(change.obj.id)

    touched = mutator.world.rates.touched
    touched.clear()
    mutator.world.listeners.append(record)
    try:
        mutation = make(mutator)
    finally:
        mutator.world.listeners.remove(record)
    for stream, id_ in touched:
        changed.setdefault(stream, set()).add(id_)
    return mutation, {stream: sorted(ids) for stream, ids in changed.items()}


class Mutator:
    """Makes single changes; a method without anything to change raises ``NothingToChange``."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self.world = world
        self.rng = rng
        #: All ids in a stable order, kept because sorting 100,000 of them for each change would take seconds.
        self.entry_ids = sorted(world.time_entries)
        self.deleted = {entry.id for entry in world.time_entries.values() if entry.deleted_at is not None}

    # drawing

    def find_any(self, records: Iterable[EntityT]) -> EntityT | None:
        """Draw a record that is not deleted, if there is one."""
        live = sorted((record for record in records if record.deleted_at is None), key=lambda record: record.id)
        return self.rng.choice(live) if live else None

    def any_of(self, records: Iterable[EntityT]) -> EntityT:
        """Draw a record that is not deleted.

        :raises NothingToChange: there is none.
        """
        if (record := self.find_any(records)) is None:
            raise NothingToChange
        return record

    def entry(self, fits: Callable[[TimeEntry], bool] = lambda _: True) -> TimeEntry:
        """Draw a stopped time entry that is not deleted and fits.

        :raises NothingToChange: none was found.
        """
        for _ in range(DRAWS if self.entry_ids else 0):
            entry = self.world.time_entries[self.rng.choice(self.entry_ids)]
            if entry.deleted_at is None and entry.stop is not None and fits(entry):
                return entry
        raise NothingToChange

    def active_user(self) -> User:
        """Draw an active user."""
        return self.any_of(user for user in self.world.users.values() if not user.inactive)

    def active_projects(self) -> list[Project]:
        """Return the projects that accept time entries, deleted ones included."""
        return [project for project in self.world.projects.values() if project.active]

    def new_name(self) -> str:
        """Return a random name, unique for all practical purposes."""
        return f"{self.rng.choice(('Renamed', 'Neu', '新規', 'Änderung', 'edited ✏️'))} {self.rng.getrandbits(48):012x}"

    def unix_now(self) -> int:
        """Return the current unix time in whole seconds."""
        return int(self.world.now().timestamp())

    def store(self, entry: TimeEntry) -> TimeEntry:
        """Store a new time entry, so that later changes can draw it."""
        self.world.store(entry, self.world.users[entry.user_id])
        self.entry_ids.append(entry.id)
        return entry

    def write(
        self, body: Any = None, *, method: str | None = None, path: str = "", actor: User | None = None
    ) -> WriteRequest:
        """Return a write by the owner, or by another user.

        :param method: of the HTTP request that events report, for writes that change several records at once.
        :param path: of that request, below the workspace.
        """
        base = f"/api/v9/workspaces/{self.world.workspace.id}"
        source: Mapping[str, Any] | None = None if method is None else {"method": method, "path": f"{base}/{path}"}
        return WriteRequest(self.world, actor or self.world.owner, {} if body is None else body, source)

    # time entries

    def create(self) -> Mutation:
        """Create a time entry that stopped within the last two weeks."""
        user = self.active_user()
        stop = self.unix_now() - int(self.rng.random() * 14 * DAY)
        return {"ids": [self.store(self.new_entry(user, stop - self.rng.randrange(60, 14_400), stop)).id]}

    def new_entry(self, user: User, start: int, stop: int | None) -> TimeEntry:
        """Return a time entry with random details between two unix times; without a stop it is running."""
        world, rng = self.world, self.rng
        project = self.find_any(self.active_projects()) if rng.random() < 0.8 else None
        tag = self.find_any(world.tags.values()) if rng.random() < 0.4 else None
        zero = world.now().replace(microsecond=0)
        moment = int(zero.timestamp())
        return TimeEntry(
            id=world.next_id("time_entry"),
            workspace_id=world.workspace.id,
            user_id=user.id,
            start=zero - timedelta(seconds=moment - start),
            stop=None if stop is None else zero - timedelta(seconds=moment - stop),
            duration=-start if stop is None else stop - start,
            at=world.now(),
            description=self.new_name() if rng.random() < 0.9 else None,
            project_id=None if project is None else project.id,
            tag_ids=[] if tag is None else [tag.id],
            billable=project is not None and project.billable and rng.random() < 0.5,
        )

    def late_edit(self) -> Mutation:
        """Change the description, project, tags or billable flag of a time entry of any age."""
        entry = self.entry()
        fields = self._edit(entry)
        self.world.change(entry, fields, self.world.owner)
        return {"ids": [entry.id], "fields": sorted(fields)}

    def _edit(self, entry: TimeEntry) -> dict[str, Any]:
        what = self.rng.randrange(4)
        if what == 0:
            project = self.find_any(self.active_projects())
            return {"project_id": None if project is None else project.id, "task_id": None}
        if what == 1:
            tag = self.find_any(self.world.tags.values())
            if tag is None or tag.id in entry.tag_ids:
                return {"tag_ids": []}
            return {"tag_ids": [*entry.tag_ids, tag.id]}
        if what == 2:
            return {"billable": not entry.billable}
        return {"description": self.new_name()}

    def move_day(self) -> Mutation:
        """Move a time entry by one to thirty days, back or (not past now) forward."""
        entry = self.entry()
        if entry.stop is None:
            raise NothingToChange
        days = self.rng.randrange(1, 31)
        forth = entry.stop + timedelta(days=days) <= self.world.now() and self.rng.random() < 0.5
        by = timedelta(days=days if forth else -days)
        self.world.change(entry, {"start": entry.start + by, "stop": entry.stop + by}, self.world.owner)
        return {"ids": [entry.id], "days": by.days}

    def retime(self) -> Mutation:
        """Move the start of a time entry up to two hours back, and its stop to a random time before the old one."""
        entry = self.entry(lambda one: one.duration >= 0)
        if entry.stop is None:
            raise NothingToChange
        start = entry.start - timedelta(seconds=self.rng.randrange(1, 7_200))
        length = self.rng.randrange(int((entry.stop - start).total_seconds()) + 1)
        stop = start + timedelta(seconds=length)
        self.world.change(entry, {"start": start, "stop": stop, "duration": length}, self.world.owner)
        return {"ids": [entry.id]}

    def delete_entry(self) -> Mutation:
        """Delete a time entry."""
        entry = self.entry()
        entries.delete_entry(self.write(), entry.id)
        return {"ids": [entry.id]}

    def restore_entry(self) -> Mutation:
        """Restore a deleted time entry."""
        if not self.deleted:
            raise NothingToChange
        entry = self.world.time_entries[self.rng.choice(sorted(self.deleted))]
        fields: dict[str, Any] = {"deleted_at": None, **self._live_references(entry)}
        if entry.is_running:
            # The user may have started another one meanwhile.
            stop = max(entry.start, self.world.now().replace(microsecond=0))
            fields.update(stop=stop, duration=int((stop - entry.start).total_seconds()))
        self.world.change(entry, fields, self.world.owner)
        return {"ids": [entry.id]}

    def _live_references(self, entry: TimeEntry) -> dict[str, Any]:
        """Return the references that are still valid: their targets may have been deleted meanwhile."""
        world, fields = self.world, dict[str, Any]()
        fields["tag_ids"] = [tag_id for tag_id in entry.tag_ids if world.tags[tag_id].deleted_at is None]
        if entry.project_id is not None and world.projects[entry.project_id].deleted_at is not None:
            fields.update(project_id=None, task_id=None)
        elif entry.task_id is not None and world.tasks[entry.task_id].deleted_at is not None:
            fields.update(task_id=None)
        return fields

    def bulk_edit(self) -> Mutation:
        """Give two to twenty time entries the same description by one bulk PATCH."""
        ids = sorted({self.entry().id for _ in range(self.rng.randrange(2, 21))})
        operations = [{"op": "replace", "path": "/description", "value": self.new_name()}]
        write = self.write(operations, method="PATCH", path=f"time_entries/{','.join(map(str, ids))}")
        entries.bulk_patch_entries(write, ids)
        return {"ids": ids}

    def start(self) -> Mutation:
        """Start a time entry within the last ten minutes; the user's running one is stopped."""
        user = self.active_user()
        start = self.unix_now() - self.rng.randrange(600)
        if (running := self.world.running_entry(user.id)) is not None:
            entries.stop_entry(self.write(method="POST", path="time_entries", actor=user), running.id)
        return {"ids": [self.store(self.new_entry(user, start, None)).id]}

    def stop(self) -> Mutation:
        """Stop a running time entry."""
        found = [self.world.running_entry(user.id) for user in self.world.users.values()]
        running = self.any_of(entry for entry in found if entry is not None)
        entries.stop_entry(self.write(), running.id)
        return {"ids": [running.id]}

    # what time entries refer to

    def rename(self, table: str) -> Mutation:
        """Rename a record of a table."""
        record = self.any_of(getattr(self.world, table).values())
        self.world.change(record, {"name": self.new_name()}, self.world.owner)
        return {"ids": [record.id]}

    def archive_project(self) -> Mutation:
        """Archive an active project."""
        project = self.any_of(self.active_projects())
        self.world.change(project, {"active": False}, self.world.owner)
        return {"ids": [project.id]}

    def recur_project(self) -> Mutation:
        """Make an active project recur every two weeks."""
        project = self.any_of(project for project in self.active_projects() if project.recurs_days is None)
        self.world.change(project, {"recurs_days": 14}, self.world.owner)
        return {"ids": [project.id]}

    def create_project(self) -> Mutation:
        """Create an active project, half of the time for a client."""
        client = self.find_any(self.world.clients.values()) if self.rng.random() < 0.5 else None
        body: dict[str, Any] = {"name": self.new_name(), "active": True, "color": self.rng.choice(PALETTE)}
        if client is not None:
            body["client_id"] = client.id
        return {"ids": [projects.create_project(self.write(body, method="POST", path="projects")).id]}

    def create_client(self) -> Mutation:
        """Create a client."""
        return {"ids": [clients.create_client(self.write({"name": self.new_name()})).id]}

    def create_tag(self) -> Mutation:
        """Create a tag."""
        return {"ids": [tags.create_tag(self.write({"name": self.new_name()})).id]}

    def create_task(self) -> Mutation:
        """Create a task of an active project, on every plan."""
        project = self.any_of(self.active_projects())
        task = Task(self.world.next_id("task"), project.workspace_id, project.id, self.new_name(), self.world.now())
        return {"ids": [self.world.store(task, self.world.owner).id]}

    def delete_project(self) -> Mutation:
        """Delete a project, half of the time with its time entries, which otherwise have no project afterwards."""
        project = self.any_of(self.world.projects.values())
        mode = self.rng.choice(("delete", "unassign"))
        projects.delete_project(self.write(method="DELETE", path=f"projects/{project.id}"), project.id, mode)
        return {"ids": [project.id], "mode": mode}

    def delete_client(self) -> Mutation:
        """Delete a client and remove it from its projects."""
        client = self.any_of(self.world.clients.values())
        return {"ids": [clients.delete_client(self.write(method="DELETE", path=f"clients/{client.id}"), client.id)]}

    def delete_tag(self) -> Mutation:
        """Delete a tag and remove it from its time entries, whose ``at`` stays."""
        tag = self.any_of(self.world.tags.values())
        tags.delete_tag(self.write(method="DELETE", path=f"tags/{tag.id}"), tag.id)
        return {"ids": [tag.id]}

    def delete_task(self) -> Mutation:
        """Delete a task and remove it from its time entries."""
        task = self.any_of(self.world.tasks.values())
        path = f"projects/{task.project_id}/tasks/{task.id}"
        tasks.delete_task(self.write(method="DELETE", path=path), task.id)
        return {"ids": [task.id]}

    def add_member(self) -> Mutation:
        """Add a user to a project."""
        project, user = self.any_of(self.world.projects.values()), self.active_user()
        for member in self.world.project_users.values():
            if (member.project_id, member.user_id) == (project.id, user.id) and member.deleted_at is None:
                raise NothingToChange
        member_id, now = self.world.next_id("project_user"), self.world.now()
        added = ProjectUser(member_id, project.workspace_id, project.id, user.id, now)
        return {"ids": [self.world.store(added, self.world.owner).id]}

    # rare changes

    def move_month(self) -> Mutation:
        """Move a time entry by one to eleven months of the owner's zone, back or (not past now) forward."""
        return self._move(self.rng.randrange(1, 12))

    def move_year(self) -> Mutation:
        """Move a time entry by one to three years, back or (not past now) forward."""
        return self._move(12 * self.rng.randrange(1, 4))

    def _move(self, months: int) -> Mutation:
        entry = self.entry()
        if entry.stop is None:
            raise NothingToChange
        length = entry.stop - entry.start
        local = entry.start.astimezone(ZoneInfo(self.world.owner.timezone))
        fitting = []
        for by in (-months, months):
            year, month = divmod(local.year * 12 + local.month - 1 + by, 12)
            start = local.replace(year=year, month=month + 1, day=min(local.day, 28)).astimezone(timezone.utc)
            if year >= FIRST_YEAR and max(start, start + length) <= self.world.now():
                fitting.append((by, start))
        if not fitting:
            raise NothingToChange
        by, start = self.rng.choice(fitting)
        self.world.change(entry, {"start": start, "stop": start + length}, self.world.owner)
        return {"ids": [entry.id], "months": by}

    def create_empty(self) -> Mutation:
        """Create a time entry of zero seconds, one in three without a stop."""
        user = self.active_user()
        start = self._recent()
        entry = self.new_entry(user, start, start)
        if self.rng.random() < 1 / 3:
            entry.stop = None
        return {"ids": [self.store(entry).id]}

    def create_negative(self) -> Mutation:
        """Create a time entry that stops before it starts: a negative duration, but not running."""
        user = self.active_user()
        start = self._recent()
        entry = self.new_entry(user, start, start - self.rng.randrange(1, 7_200))
        return {"ids": [self.store(entry).id]}

    def create_over_midnight(self) -> Mutation:
        """Create a time entry across a midnight of the owner's zone, within the last two weeks."""
        zone = ZoneInfo(self.world.owner.timezone)
        day = self.world.now().astimezone(zone).date() - timedelta(days=self.rng.randrange(1, 14))
        return self._create_over([int(datetime.combine(day, time(), zone).timestamp())])

    def create_over_clock_change(self) -> Mutation:
        """Create a time entry across each of the last two clock changes of the owner's zone, if it has any."""
        now = self.unix_now()
        return self._create_over(clock_changes(self.world.owner.timezone, now - 400 * DAY, now)[-2:])

    def _create_over(self, moments: list[int]) -> Mutation:
        """Create a time entry across each of these unix times, which must be more than two hours ago."""
        user = self.active_user()
        if not moments:
            raise NothingToChange
        made = []
        for moment in moments:
            start, stop = moment - self.rng.randrange(60, 7_200), moment + self.rng.randrange(60, 7_200)
            made.append(self.store(self.new_entry(user, start, stop)).id)
        return {"ids": made}

    def remove_user(self) -> Mutation:
        """Remove a user other than the owner from the workspace; reports still show their time entries."""
        world = self.world
        user = self.any_of(one for one in world.users.values() if one.id != world.owner.id)
        user.inactive = True
        world.mark_deleted(user, world.owner)
        return {"ids": [user.id]}

    def change_terms(self) -> Mutation:
        """Change rate, labor cost and working hours of a user, each to a value or to none."""
        user, rng = self.active_user(), self.rng
        amounts = {"billable_rates": 100 * rng.randrange(60, 180), "labor_costs": 50 * rng.randrange(50, 160)}
        for kind, cents in amounts.items():
            self.world.rates.set(kind, user, rng.choice((None, cents)), quietly=True)
        self.world.change(user, {"working_hours_in_minutes": rng.choice((None, 240, 480))}, self.world.owner)
        return {"ids": [user.id]}

    def move_timesheet(self) -> Mutation:
        """Hand in, approve, reject or reopen a timesheet."""
        sheet, now = self.any_of(self.world.timesheets.values()), self.world.now()
        approver = self.world.timesheet_setups[sheet.timesheet_setup_id].approver_id
        reopened: dict[str, Any] = {"status": "open", "submitted_at": None, "decided_at": None, "decided_by": None}
        steps: dict[str, dict[str, Any]] = {
            "open": {"status": "submitted", "submitted_at": now},
            "submitted": {
                "status": self.rng.choice(("approved", "rejected")),
                "decided_at": now,
                "decided_by": approver,
            },
        }
        fields = steps.get(sheet.status, {**reopened, "rejection_comment": ""})
        self.world.change(sheet, fields, self.world.owner)
        return {"ids": [find_id(sheet)]}

    def delete_timesheet_setup(self) -> Mutation:
        """Delete the setup of a member, with the member's timesheets."""
        setup = self.any_of(self.world.timesheet_setups.values())
        for sheet in list(self.world.timesheets.values()):
            if sheet.timesheet_setup_id == setup.id and sheet.deleted_at is None:
                self.world.mark_deleted(sheet, self.world.owner)
        self.world.mark_deleted(setup, self.world.owner)
        return {"ids": [setup.id]}

    def change_invoice(self) -> Mutation:
        """Move the due date of an invoice."""
        invoice = self.any_of(self.world.invoices.values())
        self.world.change(invoice, {"due_date": invoice.due_date + timedelta(days=7)}, self.world.owner)
        return {"ids": [invoice.id]}

    def change_expense(self) -> Mutation:
        """Approve or reject an expense."""
        expense = self.any_of(self.world.expenses.values())
        self.world.change(expense, {"state": self.rng.choice(("approved", "rejected"))}, self.world.owner)
        return {"ids": [expense.id]}

    def change_goal(self) -> Mutation:
        """Archive a goal or make it active again, with another target and more tracked time."""
        goal, rng = self.any_of(self.world.goals.values()), self.rng
        fields = {
            "active": not goal.active,
            "target_seconds": 3600 * rng.randrange(5, 40),
            "tracked_seconds": goal.tracked_seconds + 60 * rng.randrange(1, 600),
        }
        self.world.change(goal, fields, self.world.owner)
        return {"ids": [goal.id]}

    def change_alert(self) -> Mutation:
        """Change the thresholds of an alert."""
        alert = self.any_of(self.world.alerts.values())
        self.world.change(alert, {"thresholds": [self.rng.randrange(10, 90), 100]}, self.world.owner)
        return {"ids": [alert.id]}

    def change_constraints(self) -> Mutation:
        """Make a tag or a task necessary for time entries, or no longer."""
        constraints = self.any_of(self.world.time_entry_constraints.values())
        name = self.rng.choice(("tag_present", "task_present"))
        self.world.change(constraints, {name: not getattr(constraints, name)}, self.world.owner)
        return {"ids": [find_id(constraints)]}

    def remove(self, table: str) -> Mutation:
        """Delete a record of a table that nothing refers to."""
        record = self.any_of(getattr(self.world, table).values())
        return {"ids": [find_id(self.world.mark_deleted(record, self.world.owner))]}

    def change_rate(self) -> Mutation:
        """Set a rate or labor cost of any object by any mode, also from a past or future day; or end or delete it."""
        world, rng = self.world, self.rng
        kind = rng.choice(("billable_rates", "billable_rates", "labor_costs"))
        level = rng.choice(rates.LEVELS[kind])
        tables: dict[str, dict[int, Any]] = {
            "task": world.tasks,
            "project_user": world.project_users,
            "project": world.projects,
        }
        record: rates.Rated = world.workspace
        if level == "workspace_user":
            record = self.active_user()
        elif level in tables:
            record = self.any_of(tables[level].values())
        live = [rate for rate in world.rates.history(kind, record) if rate.deleted_at is None]
        deeds = ["override-all", "override-current", "start-today", "past", "future"]
        deed = rng.choice([*deeds, "end", "delete"] if live else deeds)
        cents = 5 * rng.randrange(200, 4_000)
        if deed == "delete":
            world.rates.delete(rng.choice(live), record)
        elif deed == "end":
            world.rates.set(kind, record, None, mode="override-all")
        elif deed in ("past", "future"):
            days = rng.randrange(1, 90) * (1 if deed == "future" else -1)
            start = world.now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=days)
            world.rates.set(kind, record, cents, start=start)
        else:
            world.rates.set(kind, record, cents, mode=rates.read_mode(deed) or "override-current")
        return {"ids": sorted(id_ for stream, id_ in world.rates.touched if stream == "rates"), "deed": deed}

    def _recent(self) -> int:
        return self.unix_now() - 1 - int(self.rng.random() * 14 * DAY)


#: The ordinary kinds of change: weight, stream, and the method that makes it.
ORDINARY_KINDS: dict[str, tuple[float, str, Callable[[Mutator], Mutation]]] = {
    "create": (15, "time_entries", Mutator.create),
    "late_edit": (25, "time_entries", Mutator.late_edit),
    "move_day": (10, "time_entries", Mutator.move_day),
    "retime": (10, "time_entries", Mutator.retime),
    "delete_entry": (6, "time_entries", Mutator.delete_entry),
    "restore_entry": (2, "time_entries", Mutator.restore_entry),
    "bulk_edit": (3, "time_entries", Mutator.bulk_edit),
    "start": (5, "time_entries", Mutator.start),
    "stop": (4, "time_entries", Mutator.stop),
    "rename_project": (3, "projects", lambda mutator: mutator.rename("projects")),
    "rename_client": (2, "clients", lambda mutator: mutator.rename("clients")),
    "rename_tag": (2, "tags", lambda mutator: mutator.rename("tags")),
    "rename_task": (2, "tasks", lambda mutator: mutator.rename("tasks")),
    "archive_project": (1, "projects", Mutator.archive_project),
    "create_project": (1, "projects", Mutator.create_project),
    "create_client": (1, "clients", Mutator.create_client),
    "create_tag": (1, "tags", Mutator.create_tag),
    "create_task": (1, "tasks", Mutator.create_task),
    "delete_project": (0.2, "projects", Mutator.delete_project),
    "delete_client": (0.5, "clients", Mutator.delete_client),
    "delete_tag": (0.5, "tags", Mutator.delete_tag),
    "delete_task": (0.5, "tasks", Mutator.delete_task),
    "add_member": (1, "project_users", Mutator.add_member),
}
#: All kinds of change. Those beyond the ordinary happen only if a caller names them.
KINDS = {
    **ORDINARY_KINDS,
    "move_month": (4, "time_entries", Mutator.move_month),
    "move_year": (2, "time_entries", Mutator.move_year),
    "create_empty": (1, "time_entries", Mutator.create_empty),
    "create_negative": (0.5, "time_entries", Mutator.create_negative),
    "create_over_midnight": (2, "time_entries", Mutator.create_over_midnight),
    "create_over_clock_change": (1, "time_entries", Mutator.create_over_clock_change),
    "recur_project": (0.5, "projects", Mutator.recur_project),
    "remove_user": (0.2, "users", Mutator.remove_user),
    "change_terms": (1, "users", Mutator.change_terms),
    "move_timesheet": (3, "timesheets", Mutator.move_timesheet),
    "delete_timesheet_setup": (0.5, "timesheet_setups", Mutator.delete_timesheet_setup),
    "change_invoice": (1, "invoices", Mutator.change_invoice),
    "delete_invoice": (0.5, "invoices", lambda mutator: mutator.remove("invoices")),
    "change_expense": (1, "expenses", Mutator.change_expense),
    "delete_expense": (0.5, "expenses", lambda mutator: mutator.remove("expenses")),
    "change_goal": (1, "goals", Mutator.change_goal),
    "delete_goal": (0.5, "goals", lambda mutator: mutator.remove("goals")),
    "change_alert": (1, "alerts", Mutator.change_alert),
    "delete_alert": (0.5, "alerts", lambda mutator: mutator.remove("alerts")),
    "change_constraints": (0.5, "time_entry_constraints", Mutator.change_constraints),
    "delete_project_group": (0.5, "project_groups", lambda mutator: mutator.remove("project_groups")),
    "delete_currency": (0.2, "currencies", lambda mutator: mutator.remove("currencies")),
    "change_rate": (1, "rates", Mutator.change_rate),
}
