"""Generates a world with realistic data: the same seed and the same time give the same world."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from airflow_provider_toggl.sandbox.settings import Plan, Settings
from airflow_provider_toggl.sandbox.workspace import seed_business, seed_entries, seed_rates
from airflow_provider_toggl.sandbox.workspace.records import (
    PALETTE,
    Client,
    Group,
    Organization,
    Project,
    ProjectUser,
    Tag,
    Task,
    User,
    Workspace,
)
from airflow_provider_toggl.sandbox.workspace.world import DEFAULT_WORKSPACE_ID, World, check_zone, id_offset, utc_now

#: The default API token of the owner: 32 hex digits, like Toggl's.
DEFAULT_TOKEN = "0123456789abcdef0123456789abcdef"  # noqa: S105 - opens nothing but a sandbox
#: Larger ids would lose precision in programs that read JSON numbers as doubles.
LARGEST_ID = 2**53

#: Time zones of the other users: on both sides of UTC, with half hours, and with summer time in the south.
ZONES = (
    "America/Los_Angeles", "Asia/Kolkata", "Pacific/Auckland", "America/New_York", "Europe/London", "Asia/Tokyo",
    "Australia/Adelaide",
)  # fmt: skip
NAMES = (
    "Ada Lindqvist", "Björn Ó Súilleabháin", "Chiara D'Angelo", "Dmitri Волков", "Esther Wanjirũ", "François 李",
    "Gülşen Öztürk", "Hana סבג", "Ivo Müller-Lüdenscheidt", "Jūratė Kazlauskaitė",
)  # fmt: skip
CLIENT_NAMES = (
    "Nordwind", "Café Zürich", "Smith & Sons", "株式会社サンプル", "O'Neill “Quoted” Ltd", "Äpfel GmbH", "Contoso",
    "Ελληνικά Φύλλα", "Acme, Inc.", "Zeta",
)  # fmt: skip
PROJECT_NAMES = (
    "Website", "Billing rewrite", "Support", "Research 🔬", "Onboarding", "Données & rapports", "Mobile app",
    "Audit", "Hiring", "Backups; DROP TABLE", "Newsletter", "Infrastructure", "עברית",
)  # fmt: skip
TAG_NAMES = ("meeting", "deep work", "café", "bug", "review", "🚀 release", "travel", "Ünicode", "on-call", "50% off")
TASK_NAMES = ("Design", "Build", "Test", "Write down", "Call", "Fix", "Release", "Überprüfen")


def _empty_world(
    owner: User,
    founded: datetime,
    settings: Settings,
    *,
    workspace_id: int,
    offset: float,
    clock: Callable[[], datetime],
) -> World:
    organization = Organization(8_000_001 + id_offset(workspace_id), "Sandbox organization", founded)
    workspace = Workspace(workspace_id, organization.id, "Sandbox workspace", founded)
    world = World(organization, workspace, owner, settings, offset=offset, clock=clock)
    world.start_ids_after("user", owner.id)
    world.start_ids_after("workspace_user", owner.workspace_user_id)
    return world


def build_world(
    *,
    seed: int = 7,
    entries: int = 10_000,
    users: int = 8,
    plan: Plan = "free",
    token: str = DEFAULT_TOKEN,
    workspace_id: int = DEFAULT_WORKSPACE_ID,
    now: datetime | None = None,
    days: int = 365,
    timezone: str = "Europe/Berlin",
    settings: Settings | None = None,
    projects: int = 25,
    clients: int = 10,
    tags: int = 15,
    tasks: int = 30,
    groups: int = 3,
    clock: Callable[[], datetime] = utc_now,
) -> World:
    """Build a world full of data.

    In addition to the given numbers there is a deleted client, project, tag and task, and about one deleted time entry
    in a hundred. With four users or more, one of them is deactivated, and another one was removed.

    :param seed: decides all data, together with ``now``.
    :param entries: the number of time entries that are not deleted.
    :param users: the number of users; the first is the owner.
    :param plan: the organization's plan; ignored if ``settings`` are given.
    :param token: the owner's API token.
    :param workspace_id: workspaces with different IDs share no ID of any kind, so both can be loaded into the same
        tables.
    :param now: the world's time at the start (aware), by default the real time. Nothing is later.
    :param days: how many days back time entries start.
    :param timezone: the owner's time zone, an IANA name.
    :param settings: used as they are, not copied.
    :param clock: returns the real time; for tests.
    :raises ValueError: a number is too small, the workspace ID out of range, ``now`` has no time zone, or there is no
        such time zone.
    """
    _check(entries, users, days, now, (projects, clients, tags, tasks, groups))
    if not 0 < workspace_id < LARGEST_ID:
        raise ValueError("A workspace ID is a number from 1 to 2**53.")
    shift = id_offset(workspace_id)
    owner_zone = check_zone(timezone)
    rng = random.Random(seed)
    real_now = clock()
    moment = real_now if now is None else now
    founded = moment.astimezone(UTC) - timedelta(days=days + 30)
    owner = _person(0, owner_zone, token, founded, workspace_user_id=12_180_003 + shift, user_id=10_650_006 + shift)
    kept = settings if settings is not None else Settings(plan=plan)
    world = _empty_world(
        owner, founded, kept, workspace_id=workspace_id, offset=(moment - real_now).total_seconds(), clock=clock
    )
    builder = _Builder(world, rng, founded, moment.astimezone(UTC))
    builder.add_users(users)
    builder.add_clients(clients)
    builder.add_projects(projects)
    builder.add_tags(tags)
    builder.add_tasks(tasks)
    builder.add_members()
    builder.add_groups(groups)
    seed_entries.add_entries(world, rng, entries=entries, days=days, now=moment.astimezone(UTC))
    builder.delete_one_of_each()
    seed_business.add_business(world, random.Random(f"business {seed}"), founded, moment.astimezone(UTC))
    seed_rates.add_rates(world, random.Random(f"rates {seed}"), moment.astimezone(UTC))
    return world


UTC = timezone.utc


def _check(entries: int, users: int, days: int, now: datetime | None, others: tuple[int, ...]) -> None:
    if entries < 0 or min(others) < 0:
        raise ValueError("Numbers of records cannot be negative.")
    if users < 1 or days < 1:
        raise ValueError("A world needs at least one user and one day.")
    if now is not None and now.tzinfo is None:
        raise ValueError("now needs a time zone.")


def _person(index: int, zone: str, token: str, founded: datetime, *, workspace_user_id: int, user_id: int) -> User:
    name = NAMES[index % len(NAMES)]
    if index >= len(NAMES):
        name = f"{name} {index // len(NAMES) + 1}"
    return User(
        id=user_id,
        workspace_user_id=workspace_user_id,
        fullname=name,
        email=f"person{index + 1}@example.com",
        timezone=zone,
        token=token,
        is_admin=index < 2,
        created_at=founded,
        at=founded,
    )


class _Builder:
    """Adds the records that time entries refer to."""

    def __init__(self, world: World, rng: random.Random, founded: datetime, now: datetime) -> None:
        self.world = world
        self.rng = rng
        self.founded = founded
        self.now = now

    def past(self) -> datetime:
        """Return a random time between the foundation and a day ago."""
        span = (self.now - self.founded).total_seconds() - 86_400
        return self.founded + timedelta(microseconds=int(self.rng.random() * span * 1e6))

    def add_users(self, count: int) -> None:
        """Add users up to that number; with four or more, the last is deactivated and another one was removed."""
        world = self.world
        removed = 1 if count >= 4 else 0
        for index in range(1, count + removed):
            person = _person(
                index,
                ZONES[(index - 1) % len(ZONES)],
                f"{self.rng.getrandbits(128):032x}",
                self.founded,
                workspace_user_id=world.next_id("workspace_user"),
                user_id=world.next_id("user"),
            )
            person.at = self.past()
            if removed and index >= count - 1:
                person.inactive, person.at = True, self.now - (self.now - self.founded) / 4
            if index == count:
                person.deleted_at = person.at
            world.load(person)

    def add_clients(self, count: int) -> None:
        """Add clients; the fourth is archived."""
        for index in range(count):
            name = _numbered(CLIENT_NAMES, index)
            client_id = self.world.next_id("client")
            at = self.past()
            notes = "Invoices by post." if index % 5 == 1 else ""
            client = Client(client_id, self.world.workspace.id, name, at, self.world.owner.id, index == 3, notes)
            self.world.load(client)

    def add_projects(self, count: int) -> None:
        """Add projects: most have a client, a third is billable, an eighth archived, a twelfth weekly."""
        client_ids = list(self.world.clients)
        for index in range(count):
            created = self.past()
            project = Project(
                id=self.world.next_id("project"),
                workspace_id=self.world.workspace.id,
                name=_numbered(PROJECT_NAMES, index),
                at=created + timedelta(seconds=self.rng.random() * 3600),
                created_at=created.replace(microsecond=0),
                color=PALETTE[index % len(PALETTE)],
                start_date=created.date(),
                client_id=self.rng.choice(client_ids) if client_ids and index % 6 else None,
                active=index % 8 != 7,
                is_private=index % 3 == 0,
                billable=index % 3 == 1,
                recurs_days=7 if index % 12 == 4 else None,
                hourly_rate_cents=(5_000 + 1_250 * (index % 9)) if index % 3 == 1 else None,
            )
            self.world.load(project)

    def add_tags(self, count: int) -> None:
        """Add tags."""
        for index in range(count):
            tag_id = self.world.next_id("tag")
            name = _numbered(TAG_NAMES, index)
            self.world.load(Tag(tag_id, self.world.workspace.id, name, self.past(), self.world.owner.id))

    def add_tasks(self, count: int) -> None:
        """Add tasks to the first projects, three to each; some are done, some are assigned."""
        project_ids = list(self.world.projects)
        user_ids = [user.id for user in self.world.users.values() if user.deleted_at is None]
        for index in range(count if project_ids else 0):
            task = Task(
                id=self.world.next_id("task"),
                workspace_id=self.world.workspace.id,
                project_id=project_ids[index // 3 % len(project_ids)],
                name=_numbered(TASK_NAMES, index),
                at=self.past(),
                user_id=self.rng.choice(user_ids) if index % 2 else None,
                active=index % 7 != 6,
                estimated_seconds=3600 * (index + 1) if index % 4 == 0 else None,
            )
            self.world.load(task)

    def add_members(self) -> None:
        """Add some users to each private project, with the owner as its manager."""
        others = [user.id for user in self.world.users.values() if user.deleted_at is None][1:]
        for project in self.world.projects.values():
            if not project.is_private:
                continue
            chosen = self.rng.sample(others, min(len(others), 3))
            for user_id in [self.world.owner.id, *chosen]:
                member = ProjectUser(
                    id=self.world.next_id("project_user"),
                    workspace_id=project.workspace_id,
                    project_id=project.id,
                    user_id=user_id,
                    at=project.at,
                    manager=user_id == self.world.owner.id,
                    rate_cents=9_950 if self.rng.random() < 0.1 else None,
                )
                self.world.load(member)

    def add_groups(self, count: int) -> None:
        """Add groups; the first has all users, the last none."""
        user_ids = [user.id for user in self.world.users.values() if user.deleted_at is None]
        for index in range(count):
            share = len(user_ids) if index == 0 else 0 if index == count - 1 else max(1, len(user_ids) // 2)
            members = sorted(self.rng.sample(user_ids, share))
            name = f"Group {chr(65 + index % 26)}{index // 26 or ''}"
            group = Group(self.world.next_id("group"), self.world.workspace.id, name, self.past(), members)
            self.world.load(group)

    def delete_one_of_each(self) -> None:
        """Add a client, a project, a tag, a task and a membership that are deleted and unused."""
        world, deleted_at = self.world, self.past()
        client = Client(world.next_id("client"), world.workspace.id, "Gone client", deleted_at, world.owner.id)
        project = Project(
            id=world.next_id("project"),
            workspace_id=world.workspace.id,
            name="Gone project",
            at=deleted_at,
            created_at=self.founded,
            color=PALETTE[0],
            start_date=self.founded.date(),
        )
        tag = Tag(world.next_id("tag"), world.workspace.id, "gone tag", deleted_at, world.owner.id)
        task = Task(world.next_id("task"), world.workspace.id, project.id, "Gone task", deleted_at)
        member = ProjectUser(world.next_id("project_user"), world.workspace.id, project.id, world.owner.id, deleted_at)
        for record in (client, project, tag, task, member):
            record.deleted_at = deleted_at
            world.load(record)


def _numbered(names: tuple[str, ...], index: int) -> str:
    name = names[index % len(names)]
    return name if index < len(names) else f"{name} {index // len(names) + 1}"
