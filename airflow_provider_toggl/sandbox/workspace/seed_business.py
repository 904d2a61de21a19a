"""Generates the business side of a workspace: what people cost, approvals, invoices, expenses, groups of projects,
goals, alerts.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone

from airflow_provider_toggl.sandbox.workspace.records import (
    Alert,
    Currency,
    Expense,
    Goal,
    Invoice,
    ProjectGroup,
    Timesheet,
    TimesheetSetup,
    User,
)
from airflow_provider_toggl.sandbox.workspace.world import World, live

#: Weeks that have timesheets: enough for every status.
WEEKS = 8
INVOICES, EXPENSES = 12, 20
AUDITED_DAYS = 300
CATEGORIES = ("Travel", "Meals", "Software", "Büro")


def add_business(world: World, rng: random.Random, founded: datetime, now: datetime) -> None:
    """Add all of it.

    :param rng: of its own, so that the other records stay those of the same seed.
    """
    _Builder(world, rng, founded, now).add_all()


class _Builder:
    def __init__(self, world: World, rng: random.Random, founded: datetime, now: datetime) -> None:
        self.world = world
        self.rng = rng
        self.founded = founded
        self.now = now
        self.people = [user for user in live(world.users.values()) if not user.inactive]

    def add_all(self) -> None:
        self.add_terms()
        self.add_currencies()
        self.add_timesheets()
        self.add_project_groups()
        self.add_invoices()
        self.add_expenses()
        self.add_goals()
        self.add_alerts()
        self.add_audit_log()

    def past(self) -> datetime:
        """Return a random time between the foundation and a day ago."""
        return self.founded + timedelta(
            seconds=self.rng.random() * ((self.now - self.founded).total_seconds() - 86_400)
        )

    def add_terms(self) -> None:
        """Give rates, labor costs and working hours to most users; every third has no rate, every fourth no hours."""
        for index, user in enumerate(self.world.users.values()):
            at = self.past()
            if index % 3 != 2:
                user.rate_cents, user.rate_changed_at = 100 * self.rng.randrange(60, 180), at
            if index % 5 != 4:
                user.labor_cost_cents, user.labor_cost_changed_at = 50 * self.rng.randrange(50, 160), at
            if index % 4 != 3:
                user.working_hours_in_minutes = self.rng.choice((480, 480, 360, 240))

    def add_currencies(self) -> None:
        """Add the default currency, two others, and one that is no longer used."""
        workspace = self.world.workspace
        for code in (workspace.default_currency, "EUR", "GBP", "SEK"):
            currency = Currency(self.world.next_id("currency"), workspace.id, code, self.founded)
            currency.deleted_at = self.founded if code == "SEK" else None
            self.world.load(currency)

    def add_timesheets(self) -> None:
        """Give everybody but the owner weekly timesheets: old ones approved, one rejected, the latest open."""
        world, owner = self.world, self.world.owner
        monday = self.now.date() - timedelta(days=self.now.weekday())
        first = monday - timedelta(weeks=WEEKS - 1)
        for user in self.people[1:]:
            setup = TimesheetSetup(
                world.next_id("timesheet_setup"), world.workspace.id, user.id, owner.id, first, self.founded
            )
            world.load(setup)
            for sheet in self._weeks(setup, user, first):
                world.load(sheet)
                if sheet.submitted_at is not None:
                    world.note_timesheet(sheet, user.id, sheet.submitted_at, "submitted")
                if sheet.decided_at is not None:
                    world.note_timesheet(sheet, sheet.decided_by, sheet.decided_at)
        gone = TimesheetSetup(
            world.next_id("timesheet_setup"), world.workspace.id, owner.id, owner.id, first, self.founded
        )
        gone.deleted_at = self.founded
        world.load(gone)

    def _weeks(self, setup: TimesheetSetup, user: User, first: date) -> Iterator[Timesheet]:
        for week in range(WEEKS):
            start = first + timedelta(weeks=week)
            ended = datetime(start.year, start.month, start.day, 18, tzinfo=timezone.utc) + timedelta(days=6)
            sheet = Timesheet(
                id=self.world.next_id("timesheet"),
                workspace_id=setup.workspace_id,
                timesheet_setup_id=setup.id,
                member_id=user.id,
                start_date=start,
                at=min(ended, self.now),
                timezone=user.timezone,
                working_hours_in_minutes=user.working_hours_in_minutes,
            )
            if week < WEEKS - 2:
                sheet.submitted_at = ended
                rejected = week == WEEKS - 3 and self.rng.random() < 0.5
                sheet.decide("rejected" if rejected else "approved", setup.approver_id, ended + timedelta(hours=15))
            elif week == WEEKS - 2:
                sheet.status, sheet.submitted_at = "submitted", ended
            yield sheet

    def add_project_groups(self) -> None:
        """Give groups access to some private projects; one has lost it."""
        groups = [group for group in live(self.world.groups.values()) if group.user_ids]
        private = [project for project in live(self.world.projects.values()) if project.is_private][:6]
        for index, project in enumerate(private if groups else ()):
            group = groups[index % len(groups)]
            at = project.at
            access = ProjectGroup(self.world.next_id("project_group"), project.workspace_id, project.id, group.id, at)
            access.deleted_at = at if index == len(private) - 1 else None
            self.world.load(access)

    def add_invoices(self) -> None:
        """Add invoices in two currencies; the last one is deleted."""
        for number in range(1, INVOICES + 1):
            at = self.past()
            invoice = Invoice(
                id=self.world.next_id("invoice"),
                workspace_id=self.world.workspace.id,
                user_id=self.world.owner.id,
                document_id=f"INV-{number:04}",
                issued_on=at.date(),
                due_date=at.date() + timedelta(days=14),
                currency="EUR" if number % 3 == 0 else self.world.workspace.default_currency,
                items=[
                    (self.rng.randrange(1, 40), 100 * self.rng.randrange(60, 150), f"Work, part {part}")
                    for part in range(1, 2 + number % 3)
                ],
                created_at=at,
                at=at,
            )
            invoice.deleted_at = at if number == INVOICES else None
            self.world.load(invoice)

    def add_expenses(self) -> None:
        """Add expenses of several people, some in another currency than the workspace's; the last one is deleted."""
        for number in range(1, EXPENSES + 1):
            at = self.past()
            expense = Expense(
                id=self.world.next_id("expense"),
                workspace_id=self.world.workspace.id,
                user_id=self.rng.choice(self.people).id,
                date_of_expense=at.date(),
                category=CATEGORIES[number % len(CATEGORIES)],
                description=f"Expense {number}",
                currency="GBP" if number % 4 == 0 else self.world.workspace.default_currency,
                total_amount=self.rng.randrange(300, 90_000),
                state=("pending", "approved", "rejected")[number % 3],
                created_at=at,
                at=at,
            )
            expense.deleted_at = at if number == EXPENSES else None
            self.world.load(expense)

    def add_goals(self) -> None:
        """Give everybody a goal for the week, the owner's one of their own; one is archived, another one deleted."""
        project_ids = [project.id for project in live(self.world.projects.values())][:2]
        for index, user in enumerate([*self.people, self.world.owner]):
            at = self.past()
            goal = Goal(
                id=self.world.next_id("goal"),
                workspace_id=self.world.workspace.id,
                user_id=user.id,
                creator_user_id=self.world.owner.id,
                name=f"Goal {index + 1}",
                target_seconds=3600 * (20 + 5 * (index % 4)),
                start_date=at.date(),
                at=at,
                tracked_seconds=60 * self.rng.randrange(2_000),
                team_goal=user is not self.world.owner,
                active=index != 2,
                project_ids=project_ids if index % 2 else [],
            )
            goal.deleted_at = at if index == len(self.people) else None
            self.world.load(goal)

    def add_alerts(self) -> None:
        """Add alerts of the first projects; the last one is deleted."""
        projects = live(self.world.projects.values())[:5]
        for index, project in enumerate(projects):
            at = self.past()
            alert = Alert(
                id=self.world.next_id("alert"),
                workspace_id=project.workspace_id,
                project_id=project.id,
                at=at,
                thresholds=[80, 100] if index % 2 else [50],
                receiver_roles=["admin"] if index % 3 else [],
                receiver_users=[] if index % 3 else [self.world.owner.id],
            )
            alert.deleted_at = at if index == len(projects) - 1 else None
            self.world.load(alert)

    def add_audit_log(self) -> None:
        """Put into the audit log who created the projects of the last year."""
        for project in self.world.projects.values():
            if self.now - project.created_at < timedelta(days=AUDITED_DAYS):
                self.world.audit("created", "project", project.id, self.world.owner, project.created_at)
