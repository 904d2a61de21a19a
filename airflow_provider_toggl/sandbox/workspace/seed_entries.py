"""Generates time entries: mostly ordinary working hours, and every special case at least once."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from operator import itemgetter
from zoneinfo import ZoneInfo

from airflow_provider_toggl.sandbox.workspace.records import Project, TimeEntry, User
from airflow_provider_toggl.sandbox.workspace.world import World

UTC = timezone.utc
DAY = 86_400
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: Half of the ids of a world are below 2**32, half above.
MIDDLE_ID = 2**32
LARGEST_ID_GAP = 1_999

PLAIN_DESCRIPTIONS = (
    "Code review", "Weekly sync", "Invoices for March", "Write the proposal", "Fix login", "Interview",
    "Plan the sprint", "Answer tickets", "Refactor exports", "Reading", "Pairing with Ada", "Deploy",
)  # fmt: skip
UNUSUAL_DESCRIPTIONS = (
    "",
    "☕️ Kaffee 👩‍💻🏳️‍🌈",
    "פגישה עם הלקוח",
    "اجتماع \u202eRTL\u202c override",
    "two\nlines\r\nand\ta tab",
    'He said "it\'s done", \\o/',
    "'; DROP TABLE time_entries; --",
    "naïve café e\u0301 decomposed",
    "日本語の説明",
    "=1+1",
    "\u2028line separator",
    "a\u00a0no-break space ",
    "long " * 120,
)


def add_entries(world: World, rng: random.Random, *, entries: int, days: int, now: datetime) -> None:
    """Add time entries to the world: ``entries`` that are not deleted, and about a hundredth of that deleted ones."""
    maker = _Maker(world, rng, days, now)
    made: list[tuple[int, TimeEntry]] = []
    for created, entry in maker.special_cases():
        if len(made) >= entries:
            break
        made.append((created, entry))
    while len(made) < entries:
        made.append(maker.ordinary())
    made.extend(maker.deleted() for _ in range(max(3, entries // 100) if entries >= 10 else 0))
    made.sort(key=itemgetter(0))
    _give_ids(world, rng, [entry for _, entry in made])


def _give_ids(world: World, rng: random.Random, ordered: list[TimeEntry]) -> None:
    gaps = [1 + int(rng.random() * LARGEST_ID_GAP) for _ in ordered]
    entry_id = world.id_offset + MIDDLE_ID - sum(gaps[: len(gaps) // 2])
    for gap, entry in zip(gaps, ordered, strict=True):
        entry_id += gap
        entry.id = entry_id
        world.load(entry)
    world.start_ids_after("time_entry", entry_id)


def clock_changes(zone_name: str, first: int, now: int) -> list[int]:
    """Return the unix times between ``first`` and ``now`` at which the clocks of a zone changed."""
    zone = ZoneInfo(zone_name)
    found = []
    for low in range(first, now - DAY, DAY):
        before = datetime.fromtimestamp(low, zone).utcoffset()
        if before == datetime.fromtimestamp(low + DAY, zone).utcoffset():
            continue
        below, above = low, low + DAY
        while above - below > 1:
            middle = (below + above) // 2
            if datetime.fromtimestamp(middle, zone).utcoffset() == before:
                below = middle
            else:
                above = middle
        found.append(above)
    return found


class _Maker:
    """Makes time entries without ids, each with the time of its creation in unix microseconds."""

    def __init__(self, world: World, rng: random.Random, days: int, now: datetime) -> None:
        self.world = world
        self.rng = rng
        self.days = days
        self.now = int(now.timestamp())
        self.first = self.now - days * DAY
        self.projects: list[Project] = list(world.projects.values())
        self.tags = list(world.tags)
        self.tasks: dict[int, list[int]] = {}
        for task in world.tasks.values():
            self.tasks.setdefault(task.project_id, []).append(task.id)
        people = list(world.users.values())
        #: Inactive users have time entries in the first half of the days only.
        self.people = [user for user in people if not user.inactive] * 3 + [user for user in people if user.inactive]
        self.midnights = {user.timezone: self._midnights(user.timezone) for user in people}

    def _midnights(self, zone_name: str) -> list[int]:
        """Return the unix times at which the days of a zone start, today first."""
        zone = ZoneInfo(zone_name)
        today = datetime.fromtimestamp(self.now, zone).date()
        starts = []
        for back in range(self.days + 1):
            day = today - timedelta(days=back)
            starts.append(int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()))
        return starts

    def ordinary(self) -> tuple[int, TimeEntry]:
        """Make a time entry in the working hours of a random user, or sometimes at night."""
        draw = self.rng.random
        user = self.people[int(draw() * len(self.people))]
        midnights = self.midnights[user.timezone]
        half = self.days // 2 if user.inactive else 0
        start = midnights[half + int(draw() * (self.days - half))] + int((7.5 + 11 * draw()) * 3600)
        # Four in five entries of a weekend (1 January 1970 was a Thursday) move to the days before.
        if (start // DAY + 3) % 7 >= 5 and draw() < 0.8:
            start -= 2 * DAY
        if draw() < 0.02:
            start += 8 * 3600
        shape = draw()
        duration = int(60 + 9_000 * shape * shape)
        if draw() < 0.3:
            start -= start % 900
            duration = max(900, duration - duration % 900)
        latest = self.now - half * DAY
        if start < self.first or start + duration > latest:
            start = self.first + int(draw() * max(1, latest - duration - self.first))
        return self.stopped(user, start, min(start + duration, self.now))

    def stopped(self, user: User, start: int, stop: int) -> tuple[int, TimeEntry]:
        """Make a stopped time entry of a user, with random details."""
        created = stop * 1_000_000 + int(self.rng.random() * 5_000_000)
        if self.rng.random() < 0.04:
            created += int(self.rng.random() * 20 * DAY) * 1_000_000
        entry = self._with_details(user, start, stop, stop - start)
        return self._dated(entry, created)

    def _dated(self, entry: TimeEntry, created: int) -> tuple[int, TimeEntry]:
        """Set ``at``: mostly the time of creation, sometimes an edit days or months later."""
        draw = self.rng.random
        at, edited = created, draw()
        if edited < 0.05:
            at += int(draw() * 40 * DAY) * 1_000_000 + 1
        elif edited < 0.055:
            at += int(draw() * self.days * DAY) * 1_000_000 + 1
        latest = self.now * 1_000_000
        entry.at = EPOCH + timedelta(microseconds=min(at, latest))
        return min(created, latest), entry

    def _with_details(self, user: User, start: int, stop: int | None, duration: int) -> TimeEntry:
        draw = self.rng.random
        project = None
        if self.projects and draw() < 0.86:
            # By the square, a few projects have most of the entries.
            project = self.projects[int(len(self.projects) * draw() * draw())]
        description: str | None = PLAIN_DESCRIPTIONS[int(draw() * len(PLAIN_DESCRIPTIONS))]
        kind = draw()
        if kind < 0.1:
            description = None
        elif kind < 0.15:
            description = UNUSUAL_DESCRIPTIONS[int(draw() * len(UNUSUAL_DESCRIPTIONS))]
        tag_ids: list[int] = []
        if self.tags and draw() < 0.35:
            tag_ids = self.rng.sample(self.tags, min(len(self.tags), 1 + int(draw() * 3)))
        task_ids = self.tasks.get(project.id) if project is not None else None
        return TimeEntry(
            id=0,
            workspace_id=self.world.workspace.id,
            user_id=user.id,
            start=datetime.fromtimestamp(start, UTC),
            stop=None if stop is None else datetime.fromtimestamp(stop, UTC),
            duration=duration,
            at=EPOCH,
            description=description,
            project_id=None if project is None else project.id,
            task_id=task_ids[int(draw() * len(task_ids))] if task_ids and draw() < 0.5 else None,
            tag_ids=tag_ids,
            billable=project is not None and project.billable and draw() < 0.85,
        )

    def deleted(self) -> tuple[int, TimeEntry]:
        """Make a time entry that was deleted after its creation."""
        created, entry = self.ordinary()
        deleted = created + int(self.rng.random() * (self.now * 1_000_000 - created))
        entry.at = max(entry.at, EPOCH + timedelta(microseconds=deleted))
        entry.deleted_at = entry.at
        return created, entry

    def special_cases(self) -> Iterator[tuple[int, TimeEntry]]:
        """Make one time entry of each special case, running ones first."""
        active = [user for user in self.world.users.values() if not user.inactive]
        for user in active[:3]:
            start = max(self.first, self.now - 60 - int(self.rng.random() * 4 * 3600))
            yield self._open(user, start, -start)
        for user in active[:2]:
            yield self._open(user, self._within(self.now - 2 * DAY, 0), 0)
        for user in active:
            yield from self._at_midnight(user)
        owner = active[0]
        for description in UNUSUAL_DESCRIPTIONS:
            created, entry = self.ordinary()
            entry.description = description
            yield created, entry
        for length in (0, 0, 1, 26 * 3600):
            start = self._within(self.now - 30 * DAY - int(self.rng.random() * DAY), length)
            yield self.stopped(owner, start, min(start + length, self.now))
        for zone_name in self.midnights:
            user = next(user for user in self.world.users.values() if user.timezone == zone_name)
            for change in clock_changes(zone_name, self.first, self.now):
                yield from self._at_clock_change(user, change)

    def _open(self, user: User, start: int, duration: int) -> tuple[int, TimeEntry]:
        """Make a time entry without a stop: running if ``duration`` is negative."""
        entry = self._with_details(user, start, None, duration)
        created = min(start * 1_000_000 + int(self.rng.random() * 900_000), self.now * 1_000_000)
        entry.at = EPOCH + timedelta(microseconds=created)
        return created, entry

    def _within(self, start: int, length: int) -> int:
        return max(self.first, min(start, self.now - length))

    def _at_midnight(self, user: User) -> Iterator[tuple[int, TimeEntry]]:
        """Make time entries across a local midnight, up to it, and from it."""
        midnights = self.midnights[user.timezone]
        midnight = midnights[1 + int(self.rng.random() * max(1, self.days - 1))]
        for start, stop in ((-2_700, 4_500), (-3_600, 0), (0, 3_600), (-1, 0), (0, 1)):
            if self.first <= midnight + start and midnight + stop <= self.now:
                yield self.stopped(user, midnight + start, midnight + stop)

    def _at_clock_change(self, user: User, change: int) -> Iterator[tuple[int, TimeEntry]]:
        """Make time entries across a clock change, and in the hours around it, whose local times repeat in autumn."""
        for start, stop in ((-3_600, 3_600), (-1_800, -1_200), (1_800, 2_400), (0, 600)):
            if self.first <= change + start and change + stop <= self.now:
                yield self.stopped(user, change + start, change + stop)
