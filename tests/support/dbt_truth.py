"""What the models of the dbt package must say, computed in plain Python from the records of a sandbox.

Nothing is read from the warehouse. ``Past`` has what the sandbox no longer shows at the end.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise, product
from typing import Any
from zoneinfo import ZoneInfo

from airflow_provider_toggl.sandbox.mutate import mutate
from airflow_provider_toggl.sandbox.workspace.seed_entries import DAY
from airflow_provider_toggl.sandbox.workspace.truth import truth
from airflow_provider_toggl.sandbox.workspace.world import World, live

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
    rounding_minutes: int = 0
    rounding: str = "nearest"
    effective_rate: str = "all"
    cost_currency: str | None = None
    forecast_days: int = 28
    budget_warning: float = 0.8
    billed_tag: str | None = None
    billed_until: date | None = None
    reporting_currency: str | None = None
    exchange_rates: str = "exchange_rates"
    exchange_rate_days: int = 7

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
            "toggl_rounding_minutes": self.rounding_minutes,
            "toggl_rounding": self.rounding,
            "toggl_effective_rate": self.effective_rate,
            "toggl_cost_currency": self.cost_currency,
            "toggl_forecast_days": self.forecast_days,
            "toggl_budget_warning": self.budget_warning,
            "toggl_billed_tag": self.billed_tag,
            "toggl_billed_until": None if self.billed_until is None else self.billed_until.isoformat(),
            "toggl_reporting_currency": self.reporting_currency,
            "toggl_exchange_rates": self.exchange_rates,
            "toggl_exchange_rate_days": self.exchange_rate_days,
            **{f"toggl_using_{name}": self.optional for name in optional},
        }


def draw_exchange_rates() -> Iterator[tuple[date, str, str, float]]:
    """Yield exchange rates of working days, each with its day and two currencies.

    Some days have none, or 0, and every second month lacks more than two weeks. The two directions of a pair do not
    match, and a currency is not worth itself, so that a wrong use is seen.
    """
    chance = random.Random(0)
    days = (date(2025, 9, 1) + timedelta(days=days) for days in range(250))
    for day, source, target in product(days, ("EUR", "GBP", "USD"), ("EUR", "GBP", "USD")):
        drawn = chance.random()
        is_in_gap = day.month % 2 == 0 and 8 <= day.day <= 25
        if day.isoweekday() <= 5 and not is_in_gap and drawn > 0.1:
            yield day, source, target, 0 if drawn < 0.15 else round(0.5 + drawn, 6)


EXCHANGE_RATES = tuple(draw_exchange_rates())


@dataclass
class Budget:
    """The budgets of a project.

    :param period: first and last day of the current period, if the project is recurring.
    """

    currency: str
    estimated_seconds: int | None
    fixed_fee: float | None
    end_date: date | None
    period: tuple[date, date] | None


@dataclass
class Past:
    """What a world no longer shows at the end, and what was written into tables that no pull writes.

    :param loaded_at: when it was loaded for the first time.
    :param states: what builds saw of each timesheet: status and time of the decision.
    :param unpriced: time entries whose amount is not known, as after an event.
    :param foreign: time entries in another currency, as from before the workspace's was changed.
    """

    loaded_at: datetime
    states: dict[int, list[tuple[str, datetime | None]]] = field(default_factory=lambda: defaultdict(list))
    unpriced: set[int] = field(default_factory=set)
    foreign: set[int] = field(default_factory=set)

    def note_timesheets(self, world: World) -> None:
        """Remember the timesheets as a build sees them now."""
        for sheet in truth(world, "timesheets"):
            if not sheet["deleted_at"]:
                self.states[sheet["id"]].append((sheet["status"], _instant(sheet["approved_or_rejected_at"])))


def add_budgets(world: World, chance: random.Random) -> None:
    """Give budgets to projects, and a price to more time entries."""
    today = world.now().date()
    for project in live(world.projects.values()):
        project.estimated_seconds = 3600 * chance.randrange(1, 30) if chance.random() < 0.7 else None
        project.fixed_fee = chance.choice((None, None, 50.0, 900.5))
        project.end_date = chance.choice((None, today - timedelta(days=20), today + timedelta(days=30)))
        if chance.random() < 0.2:
            project.recurs_days = chance.randrange(7, 40)
    for entry in world.time_entries.values():
        entry.billable = entry.billable or chance.random() < 0.3


def change(world: World, seed: int) -> None:
    """Change a world for three days: work before, during and after the approval of weeks, and what it is worth.

    Records are deleted before others change: what was changed and then deleted between two loads, no load shows. Time
    entries are deleted after all approvals, because the warehouse learns of a deletion later.
    """

    def make(n: int, *kinds: str) -> None:
        mutate(world, seed=seed, n=n, kinds=list(kinds))

    world.advance(DAY)
    make(6, "late_edit")
    world.advance(3600)
    make(30, "move_timesheet")
    make(20, "change_rate", "change_terms")
    make(4, "delete_expense", "delete_invoice")
    make(4, "change_expense", "change_invoice")
    world.change(world.owner, {"working_hours_in_minutes": 0 if seed % 2 else None}, world.owner)
    world.advance(3600)
    if world.settings.plan != "free":
        # There, an entry that reports lack may be one that the plan hides.
        make(8, "delete_entry")
    make(25, "late_edit", "move_day", "retime", "create", "create_over_midnight", "create_over_clock_change")
    # Only what did not change for a day counts as deleted.
    world.advance(2 * DAY)


def falsify(world: World, past: Past, chance: random.Random) -> Iterator[str]:
    """Draw the entries whose amount or currency is not what Toggl says now; yield what writes that into the table."""
    for entry in live(world.time_entries.values()):
        drawn = chance.random()
        if drawn < 0.04:
            past.unpriced.add(entry.id)
        elif drawn < 0.16:
            past.foreign.add(entry.id)
    unknown = "hourly_rate_cents = null, billable_amount_cents = null, currency = null"
    for ids, values in ((past.unpriced, unknown), (past.foreign, "currency = 'GBP'")):
        if ids:
            yield f"update toggl.time_entries set {values} where id in ({', '.join(map(str, ids))})"


def times(one: float | None, other: float | None) -> float | None:
    """Return a product, None if a factor is not known."""
    return None if one is None or other is None else one * other


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
    rate: float | None
    amount: float | None
    currency: str | None
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


def read_entries(world: World, past: Past, case: Case) -> list[Entry]:
    """Return the time entries that the warehouse has, those that were deleted after the first load included."""
    clients = {row["id"]: row["client_id"] for row in truth(world, "projects") if not row["deleted_at"]}
    names = {row["id"]: row["name"] for row in truth(world, "tags") if not row["deleted_at"]}
    found = []
    for row in truth(world, "time_entries"):
        removed_at = _instant(row["deleted_at"])
        if removed_at is not None and removed_at < past.loaded_at:
            continue
        entry = Entry(
            id=row["id"],
            workspace_id=world.workspace.id,
            user_id=row["user_id"],
            project_id=row["project_id"],
            client_id=clients.get(row["project_id"]),
            tags={names[tag] for tag in row["tag_ids"] if tag in names},
            billable=row["billable"],
            start=_seconds(row["start"]),
            seconds=None if row["running"] else row["duration"],
            rate=None,
            amount=None,
            currency=row["currency"],
            amount_source=None,
            hourly_cost=None,
            cost_source=None,
            cost_currency=world.workspace.default_currency if case.optional else case.cost_currency,
            updated_at=_seconds(row["at"]),
            removed_at=removed_at,
        )
        _price(entry, row, world, past, case)
        if case.rounding_minutes and entry.amount is not None:
            entry.amount = times(entry.rate, _rounded(entry.seconds or 0, case) / 3600)
        _cost(entry, world, case)
        found.append(entry)
    return found


def _rounded(seconds: int, case: Case) -> int:
    """Return a duration as the case rounds it."""
    step = case.rounding_minutes * 60
    whole, rest = divmod(seconds, step)
    is_more = {"up": rest > 0, "nearest": 2 * rest >= step, "down": False}[case.rounding]
    return (whole + is_more) * step


def _price(entry: Entry, row: dict[str, Any], world: World, past: Past, case: Case) -> None:
    """Set rate, amount and currency: what Toggl's report says, else what the rate of that day says."""
    rate = None if row["hourly_rate_cents"] is None else row["hourly_rate_cents"] / 100
    cents = row["billable_amount_cents"]
    if entry.id in past.foreign:
        entry.currency = "GBP"
    if entry.id not in past.unpriced:
        entry.rate = rate
        if cents is not None:
            entry.amount, entry.amount_source = cents / 100, "report"
        return
    if not case.optional:
        rate = None
    entry.rate, entry.amount = rate, times(rate, entry.hours)
    entry.amount_source = None if entry.amount is None else "rates"
    if rate is None and (entry.project_id is None or world.settings.plan == "free"):
        entry.currency = None


def _cost(entry: Entry, world: World, case: Case) -> None:
    """Set the cost of an hour: of that day, else today's of the person in the project, or in the workspace."""
    rates, record = world.rates, world.time_entries[entry.id]
    if rates.refusal("labor_costs") is not None:
        return
    member = next(
        (
            one
            for one in live(world.project_users.values())
            if (one.project_id, one.user_id) == (entry.project_id, entry.user_id)
        ),
        None,
    )
    present = None if member is None else rates.current_cents("labor_costs", member)
    if case.optional and present is None:
        present = rates.current_cents("labor_costs", world.users[entry.user_id])
    then = rates.cents_of("labor_costs", record) if case.optional else None
    for source, cents in (("present", present), ("rates", then)):
        if cents is not None:
            entry.hourly_cost, entry.cost_source = cents / 100, source


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text.replace("Z", "+00:00"))


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _seconds(text: str) -> int:
    return math.floor(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())


class Expected:
    """The rows of the models, by their keys.

    :param worlds: worlds with different IDs, and their past.
    """

    def __init__(self, worlds: Iterable[tuple[World, Past]], case: Case) -> None:
        self.case = case
        self.zone = ZoneInfo(case.zone)
        self.worlds = list(worlds)
        self.everything = [entry for world, past in self.worlds for entry in read_entries(world, past, case)]
        self.entries = [entry for entry in self.everything if entry.removed_at is None]
        self.stopped = [entry for entry in self.entries if entry.seconds is not None]
        self.exchange_rates = {(day, *pair): rate for day, *pair, rate in EXCHANGE_RATES}

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
                "hourly_rate": entry.rate,
                "amount": entry.amount,
                "amount_source": entry.amount_source,
                "currency": entry.currency,
                "hourly_cost": entry.hourly_cost,
                "cost": entry.cost,
                "cost_source": entry.cost_source,
                "cost_currency": entry.cost_currency,
            }
            for entry in self.entries
        }

    def exchange_rate(self, currency: str | None, day: date) -> tuple[float | None, date | None]:
        """Return the rate from a currency to the reporting one on a day, and the day that it is from."""
        if currency == self.case.reporting_currency:
            return 1, None
        for days in range(self.case.exchange_rate_days + 1):
            earlier = day - timedelta(days=days)
            rate = self.exchange_rates.get((earlier, currency, self.case.reporting_currency))
            if rate:
                return rate, earlier
        return None, None

    def fct_converted_amounts(self) -> Rows:
        rows: Rows = {}
        for entry in self.entries:
            day = entry.local_date(self.zone)
            rate, rate_date = self.exchange_rate(entry.currency, day)
            cost_rate, cost_rate_date = self.exchange_rate(entry.cost_currency, day)
            rows[(entry.id,)] = {
                "project_id": entry.project_id,
                "local_date": day,
                "reporting_currency": self.case.reporting_currency,
                "amount": entry.amount,
                "currency": entry.currency,
                "exchange_rate": rate,
                "exchange_rate_date": rate_date,
                "converted_amount": times(entry.amount, rate),
                "cost": entry.cost,
                "cost_currency": entry.cost_currency,
                "cost_exchange_rate": cost_rate,
                "cost_exchange_rate_date": cost_rate_date,
                "converted_cost": times(entry.cost, cost_rate),
            }
        return rows

    def missing_exchange_rates(self) -> Rows:
        entries: dict[Key, set[int]] = defaultdict(set)
        for entry in self.entries:
            day = entry.local_date(self.zone)
            for amount, currency in ((entry.amount, entry.currency), (entry.cost, entry.cost_currency)):
                if amount is not None and self.exchange_rate(currency, day)[0] is None:
                    entries[currency, day].add(entry.id)
        return {key: {"time_entries": len(ids)} for key, ids in entries.items()}

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
        for world, _ in self.worlds:
            for user in truth(world, "workspace_users"):
                person, minutes = (world.workspace.id, user["user_id"]), user["working_hours_in_minutes"]
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
        """Return the budgets of projects that exist, by the project."""
        return {
            row["id"]: Budget(
                row["currency"],
                row["estimated_seconds"],
                row["fixed_fee"],
                _day(row["end_date"]),
                row["current_period"] and tuple(map(date.fromisoformat, row["current_period"])),
            )
            for row in self._rows("projects")
            if not row["deleted_at"]
        }

    def _rows(self, stream: str) -> Iterator[dict[str, Any]]:
        """Yield the records of a stream that were not deleted before the first load."""
        for world, past in self.worlds:
            for row in truth(world, stream):
                gone = _instant(row["deleted_at"])
                if gone is None or gone >= past.loaded_at:
                    yield row

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
        states = {id_: seen for _, past in self.worlds for id_, seen in past.states.items()}
        return {
            (sheet["id"],): self._approval(sheet, states[sheet["id"]], by_user[sheet["member_id"]])
            for sheet in self._rows("timesheets")
        }

    def _approval(
        self, sheet: dict[str, Any], states: list[tuple[str, datetime | None]], entries: list[Entry]
    ) -> dict[str, Any]:
        start, end = date.fromisoformat(sheet["start_date"]), date.fromisoformat(sheet["end_date"])
        inside = [entry for entry in entries if start <= entry.local_date(self.zone) <= end]
        kept = [entry for entry in inside if entry.removed_at is None]
        approved = max((at for status, at in states if status == "approved" and at), default=None)
        edited = [entry for entry in kept if approved and entry.updated_at > approved.timestamp()]
        deleted = [entry for entry in inside if approved and entry.removed_at and entry.removed_at > approved]
        return {
            "user_id": sheet["member_id"],
            "status": sheet["status"],
            "approved_at": approved,
            "times_reopened": sum(before[0] == "approved" and before != after for before, after in pairwise(states)),
            "hours": hours(kept),
            "edited_after_approval": len(edited),
            "deleted_after_approval": len(deleted),
        }

    def dim_user(self) -> Rows:
        return self._columns("users", fullname="fullname", email="email", is_inactive="inactive")

    def dim_client(self) -> Rows:
        return self._columns("clients", client_name="name", is_archived="archived")

    def dim_project(self) -> Rows:
        same = ("client_id", "is_private", "currency", "fixed_fee")
        named = {"project_name": "name", "is_active": "active", "is_billable": "billable"}
        return self._columns("projects", **named, **{name: name for name in same})

    def dim_task(self) -> Rows:
        return self._columns("tasks", task_name="name", project_id="project_id", user_id="user_id", is_active="active")

    def stg_toggl_track__expenses(self) -> Rows:
        return self._columns("expenses", currency="currency", total_amount="total_amount", state="state")

    def stg_toggl_track__invoices(self) -> Rows:
        return self._columns("invoices", currency="currency", document_id="document_id")

    def _columns(self, stream: str, **columns: str) -> Rows:
        """Return columns of a model whose rows are the records of a stream, by the names that these have there."""
        return {
            (row["id"],): {
                **{name: row[field] for name, field in columns.items()},
                "is_deleted": row["deleted_at"] is not None,
            }
            for row in self._rows(stream)
        }


def hours(entries: Iterable[Entry]) -> float:
    """Return the hours of stopped entries."""
    return sum(entry.seconds or 0 for entry in entries) / 3600
