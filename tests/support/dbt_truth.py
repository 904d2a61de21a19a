"""What the models of the dbt package must say, computed in plain Python from the records of a sandbox.

The sandbox has no budgets, labor costs, working hours or timesheets. ``Terms`` draws them, writes them into the tables
of the warehouse, and is their truth.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from airflow_provider_toggl.sandbox.workspace.truth import truth
from airflow_provider_toggl.sandbox.workspace.world import World

Key = tuple[Any, ...]
Rows = dict[Key, dict[str, Any]]

#: All changes of clocks, and so all midnights, are at multiples of this.
QUARTER = 900


@dataclass(frozen=True)
class Case:
    """The values of the package's variables.

    :param optional: whether the tables that not every plan fills are used.
    """

    zone: str
    optional: bool
    week_start: int = 1
    today: date = date(2026, 3, 5)
    utilization: str = "billable"
    weekly_hours: int | None = None
    working_hours_period: str = "day"
    working_days: int = 5
    revenue: str = "time"
    effective_rate: str = "all"
    cost_currency: str | None = None
    forecast_days: int = 28
    budget_warning: float = 0.8
    billed_tag: str | None = None
    billed_until: date | None = None

    def variables(self) -> dict[str, Any]:
        """Return the variables of dbt."""
        optional = ("workspace_users", "workspaces", "organizations", "organization_users", "currencies", "rates")
        optional += ("project_groups", "timesheets", "invoices", "expenses")
        return {
            "toggl_timezone": self.zone,
            "toggl_week_start": self.week_start,
            "toggl_today": self.today.isoformat(),
            "toggl_utilization": self.utilization,
            "toggl_weekly_hours": self.weekly_hours,
            "toggl_working_hours_period": self.working_hours_period,
            "toggl_working_days": self.working_days,
            "toggl_revenue": self.revenue,
            "toggl_effective_rate": self.effective_rate,
            "toggl_cost_currency": self.cost_currency,
            "toggl_forecast_days": self.forecast_days,
            "toggl_budget_warning": self.budget_warning,
            "toggl_billed_tag": self.billed_tag,
            "toggl_billed_until": None if self.billed_until is None else self.billed_until.isoformat(),
            **{f"toggl_using_{name}": self.optional for name in optional},
        }


@dataclass
class Budget:
    """The terms of a project.

    :param period: first and last day of the present period, if the project is recurring.
    """

    currency: str
    estimated_seconds: int | None
    fixed_fee: float | None
    end_date: date | None
    period: tuple[date, date] | None


@dataclass
class Timesheet:
    """A timesheet of a user."""

    id: int
    user_id: int
    start: date
    end: date
    status: str
    submitted_at: datetime | None
    decided_at: datetime | None


@dataclass
class Terms:
    """The terms of a world: what the sandbox does not have.

    :param currency: that of labor costs.
    :param unpriced: time entries whose amount is not known, as after an event.
    :param foreign: time entries in another currency than their project, as from before the project's was changed.
    :param removed: time entries that were deleted after they were loaded, and when.
    :param rated: the hourly rate and labor cost of time entries by the rates that held when they started.
    """

    currency: str
    labor_costs: dict[int, float | None] = field(default_factory=dict)
    minutes: dict[int, int | None] = field(default_factory=dict)
    member_costs: dict[tuple[int, int], tuple[int, float]] = field(default_factory=dict)
    budgets: dict[int, Budget] = field(default_factory=dict)
    unpriced: set[int] = field(default_factory=set)
    foreign: set[int] = field(default_factory=set)
    removed: dict[int, datetime] = field(default_factory=dict)
    rated: dict[int, tuple[float | None, float | None]] = field(default_factory=dict)
    timesheets: list[Timesheet] = field(default_factory=list)


def draw_terms(world: World, seed: int) -> Terms:
    """Draw the terms of a world; the seed alone decides them."""
    chance = random.Random(seed)
    terms = Terms(chance.choice(("USD", "EUR")))
    for user in truth(world, "users"):
        terms.labor_costs[user["id"]] = chance.choice((None, 20.0, 35.5, 60.25))
        terms.minutes[user["id"]] = chance.choice((None, 0, 240, 480))
    for member in truth(world, "project_users"):
        if not member["deleted_at"] and chance.random() < 0.4:
            key = (member["project_id"], member["user_id"])
            terms.member_costs[key] = (member["id"], chance.choice((15.0, 80.75)))
    for project in truth(world, "projects"):
        if not project["deleted_at"]:
            terms.budgets[project["id"]] = _draw_budget(chance, world.now().date())
    for entry in truth(world, "time_entries"):
        if not entry["deleted_at"]:
            _draw_fate(chance, terms, entry["id"])
    _draw_timesheets(chance, terms, world)
    return terms


def _draw_budget(chance: random.Random, today: date) -> Budget:
    recurs = chance.random() < 0.2
    first = today - timedelta(days=chance.randrange(40))
    return Budget(
        chance.choice(("USD", "EUR")),
        chance.choice((None, 3600, 20 * 3600, 400 * 3600)),
        chance.choice((None, None, 50.0, 25_000.5)),
        chance.choice((None, today - timedelta(days=20), today + timedelta(days=30))),
        (first, first + timedelta(days=29)) if recurs else None,
    )


def _draw_fate(chance: random.Random, terms: Terms, entry_id: int) -> None:
    fate = chance.random()
    if fate < 0.04:
        terms.unpriced.add(entry_id)
    elif fate < 0.08:
        terms.removed[entry_id] = datetime(2027, 1, 1, tzinfo=timezone.utc)
    elif fate < 0.2:
        terms.foreign.add(entry_id)
    terms.rated[entry_id] = (chance.choice((None, 90.0)), chance.choice((None, 42.5)))


def _draw_timesheets(chance: random.Random, terms: Terms, world: World) -> None:
    last = world.now().date()
    for user_id in terms.labor_costs:
        for back in range(0, 56, 7):
            start = last - timedelta(days=last.weekday() + back)
            status = chance.choice(("open", "submitted", "approved", "rejected"))
            decided = status in ("approved", "rejected")
            at = datetime(start.year, start.month, start.day, 9, tzinfo=timezone.utc) + timedelta(days=8)
            sheet = Timesheet(
                world.id_offset + len(terms.timesheets) + 1,
                user_id,
                start,
                start + timedelta(days=6),
                status,
                None if status == "open" else at - timedelta(days=1),
                at if decided else None,
            )
            terms.timesheets.append(sheet)


def statements(world: World, terms: Terms) -> Iterator[str]:
    """Yield what writes the terms into the tables, for DuckDB and PostgreSQL."""
    workspace = world.workspace.id
    yield f"update toggl.time_entries set currency = 'USD' where workspace_id = {workspace}"
    for project_id, budget in terms.budgets.items():
        period = None
        if budget.period is not None:
            period = f'{{"start_date": "{budget.period[0]}", "end_date": "{budget.period[1]}"}}'
        yield (
            f"update toggl.projects set currency = {sql(budget.currency)}, end_date = {sql(budget.end_date)}, "
            f"estimated_seconds = {sql(budget.estimated_seconds)}, fixed_fee = {sql(budget.fixed_fee)}, "
            f"recurring = {sql(budget.period is not None)}, current_period = {sql(period)} where id = {project_id}"
        )
        yield f"update toggl.time_entries set currency = {sql(budget.currency)} where project_id = {project_id}"
    for id_, cost in terms.member_costs.values():
        yield f"update toggl.project_users set labor_cost = {cost} where id = {id_}"
    if terms.foreign:
        ids = ", ".join(map(str, terms.foreign))
        yield f"update toggl.time_entries set currency = 'GBP' where id in ({ids})"
    if terms.unpriced:
        yield (
            "update toggl.time_entries set hourly_rate_cents = null, billable_amount_cents = null, currency = null "
            f"where id in ({', '.join(map(str, terms.unpriced))})"
        )
    for id_, at in terms.removed.items():
        yield f"update toggl.time_entries set {'deleted_at' if id_ % 2 else 'absent_at'} = {sql(at)} where id = {id_}"
    for entry in read_entries(world, terms, Case("UTC", optional=True)):
        rate, cost = terms.rated[entry.id]
        hours_ = None if entry.seconds is None else entry.seconds / 3600
        values = (entry.id, workspace, rate, times(rate, hours_), entry.currency, cost, times(cost, hours_))
        yield (
            "insert into toggl.time_entry_amounts (time_entry_id, workspace_id, rate, amount, currency, labor_cost, "
            f"cost, cost_currency) values ({', '.join(map(sql, values))}, {sql(terms.currency)})"
        )
    seen = "timestamptz '2026-01-01 00:00:00+00:00'"
    yield (
        "insert into toggl.workspaces (id, workspace_id, default_currency, seen_at) "
        f"values ({workspace}, {workspace}, {sql(terms.currency)}, {seen})"
    )
    for user_id, cost in terms.labor_costs.items():
        yield (
            "insert into toggl.workspace_users (id, workspace_id, user_id, labor_cost, working_hours_in_minutes, "
            f"seen_at) values ({user_id}, {workspace}, {user_id}, {sql(cost)}, {sql(terms.minutes[user_id])}, {seen})"
        )
    for sheet in terms.timesheets:
        values = (sheet.id, workspace, sheet.user_id, sheet.start, sheet.end, sheet.status)
        values += (sheet.submitted_at, sheet.decided_at)
        yield (
            "insert into toggl.timesheets (id, workspace_id, member_id, start_date, end_date, status, submitted_at, "
            f"approved_or_rejected_at, seen_at) values ({', '.join(map(sql, values))}, {seen})"
        )


def times(one: float | None, other: float | None) -> float | None:
    """Return a product, None if a factor is not known."""
    return None if one is None or other is None else one * other


def sql(value: Any) -> str:
    """Return a value as SQL."""
    if value is None:
        return "null"
    if isinstance(value, datetime):
        return f"timestamptz '{value.isoformat()}'"
    if isinstance(value, date):
        return f"date '{value}'"
    if isinstance(value, str):
        return f"'{value}'"
    return str(value).lower()


@dataclass
class Entry:
    """A time entry as the models show it; instants are seconds since the epoch."""

    id: int
    workspace_id: int
    user_id: int
    project_id: int | None
    client_id: int | None
    tags: set[str]
    billable: bool
    start: int
    seconds: int | None
    amount: float | None
    currency: str
    amount_source: str | None
    hourly_cost: float | None
    cost_source: str | None
    cost_currency: str | None
    updated_at: int
    removed_at: datetime | None

    @property
    def hours(self) -> float | None:
        return None if self.seconds is None else self.seconds / 3600

    @property
    def cost(self) -> float | None:
        return times(self.hours, self.hourly_cost)

    def local_date(self, zone: ZoneInfo) -> date:
        return datetime.fromtimestamp(self.start, zone).date()


def read_entries(world: World, terms: Terms, case: Case) -> list[Entry]:
    """Return the time entries that the warehouse has, the removed ones included."""
    clients = {row["id"]: row["client_id"] for row in truth(world, "projects") if not row["deleted_at"]}
    names = {row["id"]: row["name"] for row in truth(world, "tags") if not row["deleted_at"]}
    found = []
    for row in truth(world, "time_entries"):
        if row["deleted_at"]:
            continue
        project = row["project_id"]
        entry = Entry(
            id=row["id"],
            workspace_id=world.workspace.id,
            user_id=row["user_id"],
            project_id=project,
            client_id=clients.get(project),
            tags={names[tag] for tag in row["tag_ids"] if tag in names},
            billable=row["billable"],
            start=_seconds(row["start"]),
            seconds=None if row["running"] else row["duration"],
            amount=None,
            currency=_currency(terms, project, row["id"]),
            amount_source=None,
            hourly_cost=None,
            cost_source=None,
            cost_currency=terms.currency if case.optional else case.cost_currency,
            updated_at=_seconds(row["at"]),
            removed_at=terms.removed.get(row["id"]),
        )
        _price(entry, row, terms, case)
        found.append(entry)
    return found


def _price(entry: Entry, row: dict[str, Any], terms: Terms, case: Case) -> None:
    """Set amount and cost: what Toggl's report said, else the rate of that day; the cost of that day, else today's."""
    rate, cost = terms.rated[entry.id] if case.optional else (None, None)
    cents = None if entry.id in terms.unpriced else row["billable_amount_cents"]
    if cents is not None:
        entry.amount, entry.amount_source = cents / 100, "report"
    elif times(rate, entry.hours) is not None:
        entry.amount, entry.amount_source = times(rate, entry.hours), "rates"
    member = terms.member_costs.get((entry.project_id or 0, entry.user_id))
    present = member[1] if member else terms.labor_costs[entry.user_id] if case.optional else None
    if cost is not None:
        entry.hourly_cost, entry.cost_source = cost, "rates"
    elif present is not None:
        entry.hourly_cost, entry.cost_source = present, "present"


def _currency(terms: Terms, project_id: int | None, entry_id: int) -> Any:
    if entry_id in terms.foreign:
        return "GBP"
    if project_id in terms.budgets:
        return terms.budgets[project_id].currency
    return None if entry_id in terms.unpriced else "USD"


def _seconds(text: str) -> int:
    return math.floor(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())


class Expected:
    """The rows of the models, by their keys.

    :param worlds: worlds with different IDs, and their terms.
    """

    def __init__(self, worlds: Iterable[tuple[World, Terms]], case: Case) -> None:
        self.case = case
        self.zone = ZoneInfo(case.zone)
        self.worlds = list(worlds)
        self.everything = [entry for world, terms in self.worlds for entry in read_entries(world, terms, case)]
        self.entries = [entry for entry in self.everything if entry.removed_at is None]
        self.stopped = [entry for entry in self.entries if entry.seconds is not None]

    def fct_time_entries(self) -> Rows:
        return {
            (entry.id,): {
                "user_id": entry.user_id,
                "project_id": entry.project_id,
                "client_id": entry.client_id,
                "is_billable": entry.billable,
                "is_running": entry.seconds is None,
                "local_date": entry.local_date(self.zone),
                "seconds": entry.seconds,
                "amount": entry.amount,
                "amount_source": entry.amount_source,
                "currency": entry.currency,
                "cost": entry.cost,
                "cost_source": entry.cost_source,
                "cost_currency": entry.cost_currency,
            }
            for entry in self.entries
        }

    def fct_time_entry_days(self) -> Rows:
        return {
            (entry.id, day): {"seconds": seconds} for entry in self.stopped for day, seconds in self.days(entry).items()
        }

    def days(self, entry: Entry) -> dict[date, int]:
        """Return the seconds of a stopped entry by local day, counted in quarters of an hour."""
        end = entry.start + (entry.seconds or 0)
        days = {entry.local_date(self.zone): 0}
        moment = entry.start
        while moment < end:
            following = min(end, (moment // QUARTER + 1) * QUARTER)
            day = datetime.fromtimestamp(moment, self.zone).date()
            days[day] = days.get(day, 0) + following - moment
            moment = following
        return days

    def utilization(self) -> Rows:
        tracked: dict[tuple[int, int], dict[date, list[int]]] = defaultdict(dict)
        for entry in self.stopped:
            for day, seconds in self.days(entry).items():
                week = day - timedelta(days=(day.isoweekday() - self.case.week_start) % 7)
                sums = tracked[entry.workspace_id, entry.user_id].setdefault(week, [0, 0])
                sums[0] += seconds
                sums[1] += seconds if entry.billable else 0
        available = self.available_hours()
        rows: Rows = {}
        for person, weeks in tracked.items():
            hours_available, source = available[person]
            week = min(weeks)
            while week <= max(weeks):
                hours, billable = (seconds / 3600 for seconds in weeks.get(week, [0, 0]))
                counted = billable if self.case.utilization == "billable" else hours
                rows[(*person, week)] = {
                    "hours": hours,
                    "billable_hours": billable,
                    "available_hours": hours_available,
                    "available_hours_source": source,
                    "utilization": counted / hours_available if hours_available else None,
                    "billable_share": billable / hours if hours else None,
                }
                week += timedelta(days=7)
        return rows

    def available_hours(self) -> dict[tuple[int, int], tuple[float | None, str | None]]:
        """Return the weekly hours of each person and where they are from."""
        found: dict[tuple[int, int], tuple[float | None, str | None]] = {}
        for world, terms in self.worlds:
            for user_id, minutes in terms.minutes.items():
                person = (world.workspace.id, user_id)
                if self.case.optional and minutes:
                    days = self.case.working_days if self.case.working_hours_period == "day" else 1
                    found[person] = (minutes / 60 * days, "toggl")
                elif self.case.weekly_hours is not None:
                    found[person] = (self.case.weekly_hours, "variable")
                else:
                    found[person] = (None, None)
        return found

    def project_profitability(self) -> Rows:
        budgets = self.budgets()
        groups: dict[Key, list[Entry]] = defaultdict(list)
        for entry in self.stopped:
            groups[entry.workspace_id, entry.project_id, entry.currency].append(entry)
        return {key: self._profit(key, group, budgets.get(key[1])) for key, group in groups.items()}

    def _profit(self, key: Key, group: list[Entry], budget: Budget | None) -> dict[str, Any]:
        amounts = [entry.amount if entry.billable else 0 for entry in group]
        known = [amount for amount in amounts if amount is not None]
        revenue = sum(known) if known else None
        unpriced = [entry for entry in group if entry.billable and entry.amount is None]
        has_all = sum(entry.seconds or 0 for entry in unpriced) == 0
        if self.case.revenue == "fixed_fee" and budget is not None and budget.fixed_fee:
            revenue, has_all = budget.fixed_fee if budget.currency == key[2] else 0, True
        costs = [entry.cost for entry in group if entry.cost is not None]
        currency = group[0].cost_currency if costs else None
        uncosted = hours(entry for entry in group if entry.cost is None)
        cost = sum(costs) if costs else None
        margin = None
        if currency is not None and currency == key[2] and has_all and not uncosted and revenue is not None:
            margin = revenue - sum(costs)
        billable_hours = hours(entry for entry in group if entry.billable)
        divisor = billable_hours if self.case.effective_rate == "billable" else hours(group)
        dates = [entry.local_date(self.zone) for entry in group]
        return {
            "client_id": group[0].client_id,
            "first_date": min(dates),
            "last_date": max(dates),
            "hours": hours(group),
            "billable_hours": billable_hours,
            "revenue": revenue,
            "billable_hours_without_amount": hours(unpriced),
            "cost": cost,
            "cost_currency": currency,
            "hours_without_cost": uncosted,
            "margin": margin,
            "margin_share": margin / revenue if margin is not None and revenue else None,
            "effective_rate": revenue / divisor if revenue is not None and divisor else None,
        }

    def budgets(self) -> dict[int, Budget]:
        return {id_: budget for _, terms in self.worlds for id_, budget in terms.budgets.items()}

    def budget_burn(self) -> Rows:
        by_project: dict[int | None, list[Entry]] = defaultdict(list)
        for entry in self.stopped:
            by_project[entry.project_id].append(entry)
        rows: Rows = {}
        for project_id, budget in self.budgets().items():
            entries = by_project[project_id]
            if budget.estimated_seconds:
                period = budget.period or (None, None)
                used = [(entry.local_date(self.zone), (entry.seconds or 0) / 3600) for entry in entries]
                end = budget.period[1] if budget.period else budget.end_date
                rows[project_id, "hours"] = self._burn(budget.estimated_seconds / 3600, used, period, end)
            if budget.fixed_fee:
                priced = [entry for entry in entries if entry.currency == budget.currency]
                used = [(entry.local_date(self.zone), entry.amount or 0) for entry in priced]
                rows[project_id, "fixed_fee"] = self._burn(budget.fixed_fee, used, (None, None), budget.end_date)
        return rows

    def _burn(
        self, budget: float, used: list[tuple[date, float]], period: tuple[date | None, date | None], end: date | None
    ) -> dict[str, Any]:
        today = self.case.today
        first, last = (period[0] or date.min), min(today, period[1] or date.max)
        counted = [(day, amount) for day, amount in used if first <= day <= last]
        total = sum(amount for _, amount in counted)
        recent = sum(amount for day, amount in counted if day > today - timedelta(days=self.case.forecast_days))
        begun = min((day for day, _ in counted), default=None)
        days = self.case.forecast_days if begun is None else min(self.case.forecast_days, (today - begun).days + 1)
        per_day = recent / max(1, days)
        at_end = None if end is None else total + per_day * max(0, (end - today).days)
        used_up = None
        if total < budget and per_day > 0 and (budget - total) / per_day <= 36_525:
            used_up = today + timedelta(days=math.ceil((budget - total) / per_day))
        status = "on_track"
        if total > budget:
            status = "over"
        elif total >= budget * self.case.budget_warning or (at_end is not None and at_end > budget):
            status = "at_risk"
        return {
            "budget": budget,
            "used": total,
            "remaining": budget - total,
            "used_per_day": per_day,
            "forecast_at_end": at_end,
            "forecast_used_up_on": used_up,
            "status": status,
        }

    def unbilled(self) -> Rows:
        groups: dict[Key, list[Entry]] = defaultdict(list)
        for entry in self.stopped:
            is_late = self.case.billed_until is None or entry.local_date(self.zone) > self.case.billed_until
            if entry.billable and self.case.billed_tag not in entry.tags and is_late:
                groups[entry.workspace_id, entry.project_id, entry.currency].append(entry)
        rows: Rows = {}
        for key, group in groups.items():
            amounts = [entry.amount for entry in group if entry.amount is not None]
            rows[key] = {
                "time_entries": len(group),
                "hours": hours(group),
                "amount": sum(amounts) if amounts else None,
                "hours_without_amount": hours(entry for entry in group if entry.amount is None),
                "first_date": min(entry.local_date(self.zone) for entry in group),
                "last_date": max(entry.local_date(self.zone) for entry in group),
            }
        return rows

    def approvals(self) -> Rows:
        by_user: dict[int, list[Entry]] = defaultdict(list)
        for entry in self.everything:
            by_user[entry.user_id].append(entry)
        return {
            (sheet.id,): self._approval(sheet, by_user[sheet.user_id])
            for _, terms in self.worlds
            for sheet in terms.timesheets
        }

    def _approval(self, sheet: Timesheet, entries: list[Entry]) -> dict[str, Any]:
        inside = [entry for entry in entries if sheet.start <= entry.local_date(self.zone) <= sheet.end]
        kept = [entry for entry in inside if entry.removed_at is None]
        approved = sheet.decided_at if sheet.status == "approved" else None
        edited = [entry for entry in kept if approved and entry.updated_at > approved.timestamp()]
        deleted = [entry for entry in inside if approved and entry.removed_at and entry.removed_at > approved]
        return {
            "user_id": sheet.user_id,
            "status": sheet.status,
            "approved_at": approved,
            "times_reopened": 0,
            "hours": hours(kept),
            "edited_after_approval": len(edited),
            "deleted_after_approval": len(deleted),
        }


def hours(entries: Iterable[Entry]) -> float:
    """Return the hours of stopped entries."""
    return sum(entry.seconds or 0 for entry in entries) / 3600
