"""Random changes of every kind: what people do to a workspace in a day, and what they do once a year."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, TypeVar

from airflow_provider_toggl.sandbox import mutate_odd
from airflow_provider_toggl.sandbox.rest_v9 import writes
from airflow_provider_toggl.sandbox.workspace.records import (
    PALETTE,
    Client,
    Project,
    ProjectUser,
    Tag,
    Task,
    TimeEntry,
    User,
)
from airflow_provider_toggl.sandbox.workspace.world import STREAM_OF, World, WorldChange

DAY = 86_400
#: Redraws of a time entry until one fits.
DRAWS = 50

Mutation = dict[str, Any]
ThingT = TypeVar("ThingT", Client, Project, Tag, Task, User, TimeEntry)


class UnknownMutation(ValueError):
    """A kind of change that does not exist."""


def mutate(world: World, *, seed: int, n: int, kinds: list[str] | None = None) -> list[Mutation]:
    """Make changes, each of a random kind.

    The same seed makes the same changes in the same world at the same time. Nothing is moved into the future.

    :param n: how many; fewer are made only when no kind has anything left to change.
    :param kinds: of these kinds only (``KINDS``); default the ordinary ones, those of time entries more often.
    :returns: what was done, in order: ``kind``, ``stream``, ``ids`` (of that stream, what it was about), ``id`` where
        that is one, ``changed`` (stream to ids: everything that was made, altered or deleted by it), and what else
        there is to say of a kind.
    :raises UnknownKind: a kind does not exist; nothing was changed.
    """
    unknown = sorted(set(kinds or ()) - set(KINDS))
    if unknown:
        raise UnknownMutation(f"No such kind: {', '.join(unknown)}. Kinds: {', '.join(KINDS)}.")
    chosen = list(dict.fromkeys(kinds)) if kinds else list(ORDINARY_KINDS)
    # The version makes a second call with the same seed another one: names it gave are taken.
    mutator = Mutator(world, random.Random(seed * 1_000_003 + world.version))
    done: list[Mutation] = []
    for _ in range(n):
        outcome = _one(mutator, chosen)
        if outcome is None:
            break
        done.append(outcome)
    return done


def _one(mutator: Mutator, kinds: list[str]) -> Mutation | None:
    """Make one change of a kind that has something to change; None when none has."""
    left = list(kinds)
    while left:
        kind = mutator.rng.choices(left, [KINDS[name][0] for name in left])[0]
        _, stream, make = KINDS[kind]
        outcome, changed = _watched(mutator, make)
        if outcome is not None:
            ids = outcome["ids"]
            one = {"id": ids[0]} if len(ids) == 1 else {}
            return {"kind": kind, "stream": stream, **one, **outcome, "changed": changed}
        left.remove(kind)
    return None


def _watched(
    mutator: Mutator, make: Callable[[Mutator], Mutation | None]
) -> tuple[Mutation | None, dict[str, list[int]]]:
    """Make a change and note everything that changed with it, by stream."""
    noted: dict[str, set[int]] = {}

    def note(change: WorldChange) -> None:
        noted.setdefault(STREAM_OF[change.kind], set()).add(change.obj.id)
        if isinstance(change.obj, TimeEntry):
            (mutator.gone.discard if change.obj.deleted_at is None else mutator.gone.add)(change.obj.id)

    mutator.world.listeners.append(note)
    try:
        outcome = make(mutator)
    finally:
        mutator.world.listeners.remove(note)
    return outcome, {stream: sorted(ids) for stream, ids in noted.items()}


class Mutator:
    """Draws what to change; each method makes one change, or returns None when there is nothing for it."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self.world = world
        self.rng = rng
        #: All ids once, in a stable order: a scan of 100,000 entries for each change would take seconds.
        self.entry_ids = sorted(world.time_entries)
        self.gone = {entry.id for entry in world.time_entries.values() if entry.deleted_at is not None}

    # drawing

    def any_of(self, things: Iterable[ThingT]) -> ThingT | None:
        """Draw a live one."""
        live = sorted((thing for thing in things if thing.deleted_at is None), key=lambda thing: thing.id)
        return self.rng.choice(live) if live else None

    def entry(self, fits: Callable[[TimeEntry], bool] = lambda _: True) -> TimeEntry | None:
        """Draw a live, stopped time entry that fits."""
        for _ in range(DRAWS if self.entry_ids else 0):
            entry = self.world.time_entries[self.rng.choice(self.entry_ids)]
            if entry.deleted_at is None and entry.stop is not None and fits(entry):
                return entry
        return None

    def person(self) -> User | None:
        """Draw somebody who works."""
        return self.any_of(user for user in self.world.users.values() if not user.inactive)

    def active_project(self) -> Project | None:
        """Draw a project that takes time entries."""
        return self.any_of(project for project in self.world.projects.values() if project.active)

    def word(self) -> str:
        """Return a name that nothing has yet, unless by a chance of one in some billions."""
        return f"{self.rng.choice(('Renamed', 'Neu', '新規', 'Änderung', 'edited ✏️'))} {self.rng.getrandbits(48):012x}"

    def seconds(self) -> int:
        """Return the time now in whole unix seconds."""
        return int(self.world.now().timestamp())

    def now_store(self, entry: TimeEntry) -> TimeEntry:
        """Store an entry and remember it for later changes."""
        self.world.store(entry, self.world.users[entry.user_id])
        self.entry_ids.append(entry.id)
        return entry

    def _request(self, method: str, name: str, what: int | str = "") -> dict[str, Any]:
        """Return what listeners are told where one request changes several things."""
        return {"method": method, "path": f"/api/v9/workspaces/{self.world.workspace.id}/{name}/{what}".rstrip("/")}

    # time entries

    def create(self) -> Mutation | None:
        """Make an entry that stopped within the last two weeks."""
        user = self.person()
        if user is None:
            return None
        stop = self.seconds() - int(self.rng.random() * 14 * DAY)
        return {"ids": [self.now_store(self.new_entry(user, stop - self.rng.randrange(60, 14_400), stop)).id]}

    def new_entry(self, user: User, start: int, stop: int | None) -> TimeEntry:
        """Draw all else of an entry between these unix times; without a stop it runs."""
        world, rng = self.world, self.rng
        project = self.active_project() if rng.random() < 0.8 else None
        tag = self.any_of(world.tags.values()) if rng.random() < 0.4 else None
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
            description=self.word() if rng.random() < 0.9 else None,
            project_id=None if project is None else project.id,
            tag_ids=[] if tag is None else [tag.id],
            billable=project is not None and project.billable and rng.random() < 0.5,
        )

    def late_edit(self) -> Mutation | None:
        """Change what some entry, however old, says: description, project, tags or billable."""
        entry = self.entry()
        if entry is None:
            return None
        fields = self._edit(entry)
        self.world.change(entry, fields, self.world.owner)
        return {"ids": [entry.id], "fields": sorted(fields)}

    def _edit(self, entry: TimeEntry) -> dict[str, Any]:
        what = self.rng.randrange(4)
        if what == 0:
            project = self.active_project()
            return {"project_id": None if project is None else project.id, "task_id": None}
        if what == 1:
            tag = self.any_of(self.world.tags.values())
            if tag is None or tag.id in entry.tag_ids:
                return {"tag_ids": []}
            return {"tag_ids": [*entry.tag_ids, tag.id]}
        if what == 2:
            return {"billable": not entry.billable}
        return {"description": self.word()}

    def move_day(self) -> Mutation | None:
        """Move an entry by one to thirty days, back or (never past now) forth."""
        entry = self.entry()
        if entry is None or entry.stop is None:
            return None
        days = self.rng.randrange(1, 31)
        forth = entry.stop + timedelta(days=days) <= self.world.now() and self.rng.random() < 0.5
        by = timedelta(days=days if forth else -days)
        self.world.change(entry, {"start": entry.start + by, "stop": entry.stop + by}, self.world.owner)
        return {"ids": [entry.id], "days": by.days}

    def retime(self) -> Mutation | None:
        """Let an entry start up to two hours earlier and stop at another time after that, not later than it did."""
        entry = self.entry(lambda one: one.duration >= 0)
        if entry is None or entry.stop is None:
            return None
        start = entry.start - timedelta(seconds=self.rng.randrange(1, 7_200))
        length = self.rng.randrange(int((entry.stop - start).total_seconds()) + 1)
        stop = start + timedelta(seconds=length)
        self.world.change(entry, {"start": start, "stop": stop, "duration": length}, self.world.owner)
        return {"ids": [entry.id]}

    def delete_entry(self) -> Mutation | None:
        """Delete an entry."""
        entry = self.entry()
        if entry is None:
            return None
        writes.delete_entry(self.world, self.world.owner, entry.id)
        return {"ids": [entry.id]}

    def restore_entry(self) -> Mutation | None:
        """Bring a deleted entry back."""
        if not self.gone:
            return None
        entry = self.world.time_entries[self.rng.choice(sorted(self.gone))]
        fields: dict[str, Any] = {"deleted_at": None, **self._live_references(entry)}
        if entry.is_running:
            # Somebody may have started another one meanwhile.
            stop = max(entry.start, self.world.now().replace(microsecond=0))
            fields.update(stop=stop, duration=int((stop - entry.start).total_seconds()))
        self.world.change(entry, fields, self.world.owner)
        return {"ids": [entry.id]}

    def _live_references(self, entry: TimeEntry) -> dict[str, Any]:
        """Return what an entry may still point at: things may have been deleted while it was."""
        world, fields = self.world, dict[str, Any]()
        fields["tag_ids"] = [tag_id for tag_id in entry.tag_ids if world.tags[tag_id].deleted_at is None]
        if entry.project_id is not None and world.projects[entry.project_id].deleted_at is not None:
            fields.update(project_id=None, task_id=None)
        elif entry.task_id is not None and world.tasks[entry.task_id].deleted_at is not None:
            fields.update(task_id=None)
        return fields

    def bulk_edit(self) -> Mutation | None:
        """Give two to twenty entries the same description by one bulk PATCH."""
        drawn = [self.entry() for _ in range(self.rng.randrange(2, 21))]
        ids = sorted({entry.id for entry in drawn if entry is not None})
        if not ids:
            return None
        ops = [{"op": "replace", "path": "/description", "value": self.word()}]
        request = self._request("PATCH", "time_entries", ",".join(map(str, ids)))
        writes.bulk_patch_entries(self.world, self.world.owner, ids, ops, request=request)
        return {"ids": ids}

    def start(self) -> Mutation | None:
        """Start an entry within the last ten minutes; the one that runs for that user is stopped."""
        user = self.person()
        if user is None:
            return None
        start = self.seconds() - self.rng.randrange(600)
        if (running := self.world.running_entry(user.id)) is not None:
            writes.stop_entry(self.world, user, running.id, request=self._request("POST", "time_entries"))
        return {"ids": [self.now_store(self.new_entry(user, start, None)).id]}

    def stop(self) -> Mutation | None:
        """Stop an entry that runs."""
        found = [self.world.running_entry(user.id) for user in self.world.users.values()]
        running = self.any_of(entry for entry in found if entry is not None)
        if running is None:
            return None
        writes.stop_entry(self.world, self.world.owner, running.id)
        return {"ids": [running.id]}

    # what entries point at

    def rename(self, table: str) -> Mutation | None:
        """Rename something."""
        thing = self.any_of(getattr(self.world, table).values())
        if thing is None:
            return None
        self.world.change(thing, {"name": self.word()}, self.world.owner)
        return {"ids": [thing.id]}

    def archive_project(self) -> Mutation | None:
        """Archive an active project."""
        project = self.active_project()
        if project is None:
            return None
        self.world.change(project, {"active": False}, self.world.owner)
        return {"ids": [project.id]}

    def create_project(self) -> Mutation | None:
        """Make an active project, half the time of a client."""
        client = self.any_of(self.world.clients.values()) if self.rng.random() < 0.5 else None
        payload: dict[str, Any] = {"name": self.word(), "active": True, "color": self.rng.choice(PALETTE)}
        if client is not None:
            payload["client_id"] = client.id
        request = self._request("POST", "projects")
        return {"ids": [writes.create_project(self.world, self.world.owner, payload, request=request).id]}

    def create_client(self) -> Mutation | None:
        """Make a client."""
        return {"ids": [writes.create_client(self.world, self.world.owner, {"name": self.word()}).id]}

    def create_tag(self) -> Mutation | None:
        """Make a tag."""
        return {"ids": [writes.create_tag(self.world, self.world.owner, {"name": self.word()}).id]}

    def create_task(self) -> Mutation | None:
        """Make a task of an active project, on every plan."""
        project = self.active_project()
        if project is None:
            return None
        task = Task(self.world.next_id("task"), project.workspace_id, project.id, self.word(), self.world.now())
        return {"ids": [self.world.store(task, self.world.owner).id]}

    def delete_project(self) -> Mutation | None:
        """Delete a project, with its entries or (as often) leaving them without one."""
        project = self.any_of(self.world.projects.values())
        if project is None:
            return None
        mode = self.rng.choice(("delete", "unassign"))
        request = self._request("DELETE", "projects", project.id)
        writes.delete_project(self.world, self.world.owner, project.id, mode, request=request)
        return {"ids": [project.id], "mode": mode}

    def delete_client(self) -> Mutation | None:
        """Delete a client; its projects have none then."""
        client = self.any_of(self.world.clients.values())
        if client is None:
            return None
        request = self._request("DELETE", "clients", client.id)
        return {"ids": [writes.delete_client(self.world, self.world.owner, client.id, request=request)]}

    def delete_tag(self) -> Mutation | None:
        """Delete a tag; it disappears from its entries."""
        tag = self.any_of(self.world.tags.values())
        if tag is None:
            return None
        writes.delete_tag(self.world, self.world.owner, tag.id, request=self._request("DELETE", "tags", tag.id))
        return {"ids": [tag.id]}

    def delete_task(self) -> Mutation | None:
        """Delete a task; its entries have none then."""
        task = self.any_of(self.world.tasks.values())
        if task is None:
            return None
        request = self._request("DELETE", f"projects/{task.project_id}/tasks", task.id)
        writes.delete_task(self.world, self.world.owner, task.id, request=request)
        return {"ids": [task.id]}

    def add_member(self) -> Mutation | None:
        """Make somebody a member of a project who is none."""
        project, user = self.any_of(self.world.projects.values()), self.person()
        if project is None or user is None:
            return None
        for member in self.world.project_users.values():
            if (member.project_id, member.user_id) == (project.id, user.id) and member.deleted_at is None:
                return None
        member_id, now = self.world.next_id("project_user"), self.world.now()
        added = ProjectUser(member_id, project.workspace_id, project.id, user.id, now)
        return {"ids": [self.world.store(added, self.world.owner).id]}


#: Each kind of change: how often it is drawn, the stream it changes, and what makes it.
ORDINARY_KINDS: dict[str, tuple[float, str, Callable[[Mutator], Mutation | None]]] = {
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
#: With those that happen only where they are asked for by name.
KINDS = {**ORDINARY_KINDS, **mutate_odd.KINDS}
