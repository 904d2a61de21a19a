"""Rare changes that break whoever counts by days: far moves, odd lengths, clock changes, and people who leave."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, timedelta, timezone
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from airflow_provider_toggl.sandbox.workspace.seed_entries import DAY, clock_changes

if TYPE_CHECKING:
    from airflow_provider_toggl.sandbox.workspace.mutate import Mutator

Outcome = dict[str, Any]

#: Reports know no days before 2006; one year's room for zones.
FIRST_YEAR = 2007


def move_month(mutator: Mutator) -> Outcome | None:
    """Move an entry to another month of the owner's zone, by one to eleven months, back or (never past now) forth."""
    return _move(mutator, mutator.rng.randrange(1, 12))


def move_year(mutator: Mutator) -> Outcome | None:
    """Move an entry to another year, by one to three, back or (never past now) forth."""
    return _move(mutator, 12 * mutator.rng.randrange(1, 4))


def _move(mutator: Mutator, months: int) -> Outcome | None:
    entry = mutator.entry()
    if entry is None or entry.stop is None:
        return None
    length = entry.stop - entry.start
    local = entry.start.astimezone(ZoneInfo(mutator.world.owner.timezone))
    fitting = []
    for by in (-months, months):
        year, month = divmod(local.year * 12 + local.month - 1 + by, 12)
        start = local.replace(year=year, month=month + 1, day=min(local.day, 28)).astimezone(timezone.utc)
        if year >= FIRST_YEAR and max(start, start + length) <= mutator.world.now():
            fitting.append((by, start))
    if not fitting:
        return None
    by, start = mutator.rng.choice(fitting)
    mutator.world.change(entry, {"start": start, "stop": start + length}, mutator.world.owner)
    return {"ids": [entry.id], "months": by}


def create_empty(mutator: Mutator) -> Outcome | None:
    """Make an entry of no length, one in three without a stop."""
    user = mutator.person()
    if user is None:
        return None
    start = _recent(mutator)
    entry = mutator.new_entry(user, start, start)
    if mutator.rng.random() < 1 / 3:
        entry.stop = None
    return {"ids": [mutator.now_store(entry).id]}


def create_negative(mutator: Mutator) -> Outcome | None:
    """Make an entry that stops before it starts, with a negative duration; it does not run."""
    user = mutator.person()
    if user is None:
        return None
    start = _recent(mutator)
    entry = mutator.new_entry(user, start, start - mutator.rng.randrange(1, 7_200))
    return {"ids": [mutator.now_store(entry).id]}


def create_over_midnight(mutator: Mutator) -> Outcome | None:
    """Make an entry across a midnight of the owner's zone, within the last two weeks."""
    zone = ZoneInfo(mutator.world.owner.timezone)
    day = mutator.world.now().astimezone(zone).date() - timedelta(days=mutator.rng.randrange(1, 14))
    return _create_over(mutator, [int(datetime.combine(day, time(), zone).timestamp())])


def create_over_clock_change(mutator: Mutator) -> Outcome | None:
    """Make an entry across each of the last two changes of the clock in the owner's zone, if it has any."""
    now = mutator.seconds()
    return _create_over(mutator, clock_changes(mutator.world.owner.timezone, now - 400 * DAY, now)[-2:])


def _create_over(mutator: Mutator, moments: list[int]) -> Outcome | None:
    """Make an entry across each of these unix times, of which none is within the last two hours."""
    user = mutator.person()
    if user is None or not moments:
        return None
    made = []
    for moment in moments:
        start, stop = moment - mutator.rng.randrange(60, 7_200), moment + mutator.rng.randrange(60, 7_200)
        made.append(mutator.now_store(mutator.new_entry(user, start, stop)).id)
    return {"ids": made}


def remove_user(mutator: Mutator) -> Outcome | None:
    """Let somebody leave the workspace, never the owner; their entries stay, and reports still show them."""
    world = mutator.world
    user = mutator.any_of(one for one in world.users.values() if one.id != world.owner.id)
    if user is None:
        return None
    user.inactive = True
    world.mark_deleted(user, world.owner)
    return {"ids": [user.id]}


def _recent(mutator: Mutator) -> int:
    return mutator.seconds() - 1 - int(mutator.rng.random() * 14 * DAY)


#: As ``mutate.KINDS``: weight, stream, and what makes the change.
KINDS: dict[str, tuple[float, str, Callable[[Mutator], Outcome | None]]] = {
    "move_month": (4, "time_entries", move_month),
    "move_year": (2, "time_entries", move_year),
    "create_empty": (1, "time_entries", create_empty),
    "create_negative": (0.5, "time_entries", create_negative),
    "create_over_midnight": (2, "time_entries", create_over_midnight),
    "create_over_clock_change": (1, "time_entries", create_over_clock_change),
    "remove_user": (0.2, "users", remove_user),
}
