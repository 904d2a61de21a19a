"""The histories of billable rates and labor costs, and what an hour of a time entry is worth by them.

Sources: rates of https://engineering.toggl.com/docs (levels, modes, fields), and
https://support.toggl.com/en/articles/6338050 for what a change does to earlier rates. What neither says is invented:
that a deleted rate stays listed, and which level wins between a task, a project member and a project.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal
from zoneinfo import ZoneInfo

from airflow_provider_toggl.sandbox.workspace.records import Project, ProjectUser, Task, TimeEntry, User, Workspace

Kind = Literal["billable_rates", "labor_costs"]
Mode = Literal["override-all", "override-current", "start-today"]
MODES: tuple[Mode, ...] = ("override-all", "override-current", "start-today")
Rated = Task | ProjectUser | Project | User | Workspace

#: The levels of each kind, the one that wins first.
LEVELS: dict[str, tuple[str, ...]] = {
    "billable_rates": ("task", "project_user", "project", "workspace_user", "workspace"),
    "labor_costs": ("project_user", "workspace_user"),
}
#: The field of a record with its present amount in cents. Its history begins with it; others begin without any.
AMOUNTS = {
    ("billable_rates", "project"): "hourly_rate_cents",
    ("billable_rates", "project_user"): "rate_cents",
    ("billable_rates", "workspace_user"): "rate_cents",
    ("labor_costs", "workspace_user"): "labor_cost_cents",
}
_LEVEL_OF: dict[type, str] = {
    Task: "task",
    ProjectUser: "project_user",
    Project: "project",
    User: "workspace_user",
    Workspace: "workspace",
}


@dataclass
class Rate:
    """A rate that holds from ``start`` (None: always before) to before ``end`` (None: on and on)."""

    id: int
    workspace_id: int
    kind: str
    level: str
    level_id: int
    amount_cents: int
    start: datetime | None
    end: datetime | None
    mode: str
    creator_id: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None

    def holds_at(self, moment: datetime) -> bool:
        """Return whether it holds at a time."""
        if self.deleted_at is not None:
            return False
        return (self.start is None or self.start <= moment) and (self.end is None or moment < self.end)


def level_id(record: Rated) -> int:
    """Return the id that a record has as a level of rates: of a user, that of the membership."""
    return record.workspace_user_id if isinstance(record, User) else record.id


def read_mode(value: Any) -> Mode | None:
    """Return a mode of changing a rate; None if it is none."""
    return next((mode for mode in MODES if mode == value), None)


class RateHistories:
    """All rates of a world.

    :param world: the ``World`` that has them; its module imports this one.
    """

    def __init__(self, world: Any) -> None:
        self._world = world
        self._stored: dict[tuple[str, str, int], list[Rate]] = {}
        #: Stream and id of what changed since it was emptied last; listeners are called with what a rate is set for.
        self.touched: set[tuple[str, int]] = set()
        self._members: tuple[tuple[int, int], dict[tuple[int, int], ProjectUser]] | None = None

    def history(self, kind: str, record: Rated) -> list[Rate]:
        """Return all rates of a record, deleted ones included; the first call gives its amount an id."""
        level = _LEVEL_OF[type(record)]
        key = (kind, level, level_id(record))
        if key not in self._stored:
            amount = self._field(kind, record)
            self._stored[key] = []
            if amount is not None:
                at = self._first_change(kind, record) or record.at
                self._add(kind, record, amount, None, None, "override-all", self._world.owner, at)
        return self._stored[key]

    def values(self) -> Iterable[Rate]:
        """Return the rates of all records that exist, as far as the plan and the settings show them, by id."""
        records = [one for one in self._records() if isinstance(one, Workspace) or one.deleted_at is None]
        kinds = [kind for kind in LEVELS if self.refusal(kind) is None]
        found = [rate for kind in kinds for record in records for rate in self.history(kind, record)]
        return sorted(found, key=lambda rate: rate.id)

    def begin(self) -> None:
        """Begin the history of each record with the amount that it has."""
        for record in self._records():
            for kind in LEVELS:
                self.history(kind, record)
        self.touched.clear()

    def _records(self) -> list[Rated]:
        world = self._world
        return [
            world.workspace,
            *world.users.values(),
            *world.projects.values(),
            *world.project_users.values(),
            *world.tasks.values(),
        ]

    def refusal(self, kind: str) -> tuple[int, str] | None:
        """Return status and text of the answer to a request for rates that the plan or the token does not show."""
        settings = self._world.settings
        if settings.plan == "free" or (kind == "labor_costs" and settings.plan == "starter"):
            return 402, "Billable rates are available for Starter and higher plans."
        if kind == "labor_costs" and not settings.labor_costs_shown:
            return 403, "User cannot access billable rate(s)."
        return None

    def current_cents(self, kind: str, record: Rated) -> int | None:
        """Return the amount that holds now, None if there is none or it is not shown."""
        if self.refusal(kind) is not None:
            return None
        return self.cents_at(kind, record, self._world.now())

    def changed_at(self, kind: str, record: Rated) -> datetime | None:
        """Return when the rates of a record changed last, None if there were none or they are not shown."""
        if self.refusal(kind) is not None:
            return None
        rates = self._stored.get((kind, _LEVEL_OF[type(record)], level_id(record)))
        if not rates:
            return self._first_change(kind, record) if self._field(kind, record) is not None else None
        return max(rate.updated_at for rate in rates)

    def cents_of(self, kind: str, entry: TimeEntry) -> int | None:
        """Return the amount for an hour of a time entry: of the narrowest level that has one when it starts."""
        for level in LEVELS[kind]:
            record = self._record_of(level, entry)
            if record is not None:
                amount = self.cents_at(kind, record, entry.start)
                if amount is not None:
                    return amount
        return None

    def set(
        self,
        kind: str,
        record: Rated,
        cents: int | None,
        *,
        mode: Mode = "override-current",
        start: datetime | None = None,
        actor: User | None = None,
        request: Mapping[str, Any] | None = None,
        quietly: bool = False,
        at: datetime | None = None,
    ) -> None:
        """Change the rates of a record, its present amount and its ``at``.

        :param cents: for an hour; None ends them.
        :param mode: ``override-all``: it holds always; ``override-current``: in place of the current one;
            ``start-today``: from the beginning of the actor's day.
        :param start: it holds from this time on, instead of what the mode says, until the next one that is set.
        :param quietly: call no listeners, since the caller goes on to change the record.
        :param at: when it is set, by default now.
        """
        world = self._world
        rates, now = self.history(kind, record), at or world.now()
        live = [rate for rate in rates if rate.deleted_at is None]
        actor = actor or world.owner
        if start is None and mode == "start-today":
            local = now.astimezone(ZoneInfo(actor.timezone))
            start = local.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(timezone.utc)
        current = next((rate for rate in live if rate.holds_at(now)), None)
        if start is not None:
            self._set_from(kind, record, live, cents, start, mode, actor, now)
        elif mode == "override-all" or current is None or cents is None:
            for rate in live if mode == "override-all" else filter(None, [current]):
                self._change(rate, now, deleted_at=now)
            if cents is not None:
                end = min((rate.start for rate in live if rate.start and rate.deleted_at is None), default=None)
                self._add(kind, record, cents, None, end, mode, actor, now)
        else:
            self._change(current, now, amount_cents=cents, mode=mode)
        if quietly:
            self._put_present(kind, record)
        else:
            self._announce(kind, record, actor, request)

    def delete(self, rate: Rate, record: Rated) -> None:
        """Delete one rate of a record: it never held, and nothing takes its place."""
        now = self._world.now()
        self._change(rate, now, deleted_at=now)
        self._announce(rate.kind, record, self._world.owner, None)

    def _set_from(  # noqa: PLR0917 - one call
        self,
        kind: str,
        record: Rated,
        live: list[Rate],
        cents: int | None,
        start: datetime,
        mode: str,
        actor: User,
        now: datetime,
    ) -> None:
        following = min((rate.start for rate in live if rate.start is not None and rate.start > start), default=None)
        for rate in live:
            if rate.start == start:
                self._change(rate, now, deleted_at=now)
            elif rate.holds_at(start):
                self._change(rate, now, end=start)
        if cents is not None:
            self._add(kind, record, cents, start, following, mode, actor, now)

    def _change(self, rate: Rate, now: datetime, **fields: Any) -> None:
        for name, value in fields.items():
            setattr(rate, name, value)
        rate.updated_at = now
        self.touched.add(("rates", rate.id))

    def _add(  # noqa: PLR0917 - the fields of a rate
        self,
        kind: str,
        record: Rated,
        cents: int,
        start: datetime | None,
        end: datetime | None,
        mode: str,
        actor: User,
        now: datetime,
    ) -> None:
        level, world = _LEVEL_OF[type(record)], self._world
        rate = Rate(
            world.next_id("rate"),
            world.workspace.id,
            kind,
            level,
            level_id(record),
            cents,
            start,
            end,
            mode,
            actor.id,
            now.replace(microsecond=0),
            now,
        )
        self._stored.setdefault((kind, level, level_id(record)), []).append(rate)
        self.touched.add(("rates", rate.id))

    def _announce(self, kind: str, record: Rated, actor: User, request: Mapping[str, Any] | None) -> None:
        """Set the record's present amount and its ``at``, and call listeners."""
        fields = self._put_present(kind, record)
        if isinstance(record, Workspace):
            record.at = self._world.now()
            self.touched.add(("workspaces", record.id))
            self._world.version += 1
        else:
            self._world.change(record, fields, actor, request)

    def _put_present(self, kind: str, record: Rated) -> dict[str, Any]:
        """Set and return the fields with the record's present amount, if it has any."""
        name = AMOUNTS.get((kind, _LEVEL_OF[type(record)]))
        if name is None:
            return {}
        fields: dict[str, Any] = {name: self.cents_at(kind, record, self._world.now())}
        if isinstance(record, User):
            fields[name.replace("_cents", "_changed_at")] = self.changed_at(kind, record)
        for field, value in fields.items():
            setattr(record, field, value)
        return fields

    def cents_at(self, kind: str, record: Rated, moment: datetime) -> int | None:
        """Return the amount of a record that holds at a time, whatever the plan."""
        rates = self._stored.get((kind, _LEVEL_OF[type(record)], level_id(record)))
        if not rates:
            return self._field(kind, record)
        holding = [rate for rate in rates if rate.holds_at(moment)]
        return holding[-1].amount_cents if holding else None

    @staticmethod
    def _field(kind: str, record: Rated) -> int | None:
        name = AMOUNTS.get((kind, _LEVEL_OF[type(record)]))
        return None if name is None else getattr(record, name)

    @staticmethod
    def _first_change(kind: str, record: Rated) -> datetime | None:
        if isinstance(record, User):
            return record.rate_changed_at if kind == "billable_rates" else record.labor_cost_changed_at
        return record.created_at if isinstance(record, Project) else record.at

    def _record_of(self, level: str, entry: TimeEntry) -> Rated | None:
        world = self._world
        found: Rated | None
        if level == "task":
            found = None if entry.task_id is None else world.tasks[entry.task_id]
        elif level == "workspace_user":
            found = world.users[entry.user_id]
        elif level == "workspace":
            found = world.workspace
        elif level == "project":
            found = None if entry.project_id is None else world.projects[entry.project_id]
        elif entry.project_id is None:
            found = None
        else:
            found = self._find_members().get((entry.project_id, entry.user_id))
        return found

    def _find_members(self) -> dict[tuple[int, int], ProjectUser]:
        state = (self._world.version, len(self._world.project_users))
        if self._members is None or self._members[0] != state:
            members = {(one.project_id, one.user_id): one for one in self._world.project_users.values()}
            self._members = (state, members)
        return self._members[1]
