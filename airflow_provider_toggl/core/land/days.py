"""Which days of the facts changed, kept in the warehouse so that readers may ask what changed since they last did.

A landing gives the days that it really changed the next number, in its own transaction; a day keeps only its latest
one. So the list never grows beyond a row a day, no reader must be known before it asks, and whoever dies between
landing and telling has told it here already. Numbers become visible in their order: the counter's row is locked from
the moment that a number is taken until the landing is stored.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import Any, Protocol

READERS = "changed_days"
"""The stream of ``sync_state`` under which readers of days keep their places."""

_CHUNK = 200


class Statements(Protocol):
    """An open transaction: SQL with ``?`` for parameters, in the warehouse's schema."""

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement to its end and return its rows."""


@dataclass(frozen=True)
class ChangedDays:
    """Days that changed.

    :param days: in order, in the zone of ``time_entry_facts``.
    :param cursor: ask with it the next time to hear only what changed after this.
    """

    days: tuple[date, ...]
    cursor: int


@dataclass(frozen=True)
class Place:
    """How far somebody who tells days has come, in the order of changes, the latest day of a change first.

    :param seq: all changes before it are told, and of it the days from ``day`` on.
    :param day: RFC 3339; None: all days of that change.
    :param run: who told last.
    :param before: the place before that one told, so that its next try can tell the same again.
    """

    seq: int = 0
    day: str | None = None
    run: str | None = None
    before: tuple[int, str | None] = (0, None)

    def of_try(self, run: str) -> Place:
        """Return where a try begins: a second one of the same run tells again what the first one told."""
        return Place(*self.before) if self.run == run else self

    def is_before(self, seq: int, day: str) -> bool:
        """Whether a day's change is after this place."""
        return seq > self.seq or (seq == self.seq and self.day is not None and day < self.day)


@dataclass(frozen=True)
class Untold:
    """What is to be told.

    :param days: the next ones in order of their changes.
    :param left: how many more there are.
    :param place: the place behind ``days``.
    """

    days: tuple[date, ...]
    left: int
    place: Place


def create_days(types: dict[str, str]) -> list[str]:
    """Return the statements that make the tables of days.

    :param types: the engine's type for each neutral one.
    """
    return [
        f'create table changed_days (workspace_id {types["bigint"]} not null, "day" {types["date"]} not null, '
        f"seq {types['bigint']} not null, changed_at {types['timestamp']} not null, "
        'primary key (workspace_id, "day"))',
        f"create table change_counter (seq {types['bigint']} not null)",
        "insert into change_counter (seq) values (0)",
    ]


def note_days(statements: Statements, days: Iterable[tuple[int, date]], changed_at: datetime) -> None:
    """Give days the next number; do so last in a landing, since others wait for the counter from then on.

    :param days: workspaces' ids and days.
    :param changed_at: now, for people who look.
    """
    by_workspace: dict[int, list[date]] = {}
    for workspace_id, day in sorted(days):
        by_workspace.setdefault(workspace_id, []).append(day)
    if not by_workspace:
        return
    statements.run("update change_counter set seq = seq + 1")
    seq = _last_seq(statements)
    for workspace_id, some in by_workspace.items():
        for begin in range(0, len(some), _CHUNK):
            _put(statements, workspace_id, some[begin : begin + _CHUNK], [seq, changed_at])


def _put(statements: Statements, workspace_id: int, days: list[date], rest: list[Any]) -> None:
    marks = ", ".join("?" for _ in days)
    statements.run(
        f'delete from changed_days where workspace_id = ? and "day" in ({marks})',  # noqa: S608 - only marks are put in
        [workspace_id, *days],
    )
    rows = ", ".join("(?, ?, ?, ?)" for _ in days)
    statements.run(
        f'insert into changed_days (workspace_id, "day", seq, changed_at) values {rows}',  # noqa: S608 - only marks are put in
        [value for day in days for value in (workspace_id, day, *rest)],
    )


def find_days(statements: Statements, since: int = 0, workspace_id: int | None = None) -> ChangedDays:
    """Return the days that changed after a cursor; all there are where the warehouse is not the one it came from.

    :param since: the cursor of an earlier answer; 0: every day that ever had an entry.
    """
    if since > _last_seq(statements):
        since = 0
    found = _changes(statements, since, workspace_id)
    return ChangedDays(tuple(sorted({day for _, day in found})), max((seq for seq, _ in found), default=since))


def find_untold(statements: Statements, place: Place, workspace_id: int, limit: int) -> Untold:
    """Return the next days after a place.

    :param limit: so many at most.
    """
    if place.seq > _last_seq(statements):
        place = Place()
    changes = [(seq, day) for seq, day in _changes(statements, place.seq - 1, workspace_id)]
    changes = [(seq, day) for seq, day in changes if place.is_before(seq, day.isoformat())]
    changes.sort(key=lambda change: (change[0], -change[1].toordinal()))
    told, left = changes[:limit], len(changes) - limit
    if not told:
        return Untold((), max(left, 0), place)
    seq, day = told[-1]
    has_more = left > 0 and changes[limit][0] == seq
    return Untold(tuple(day for _, day in told), max(left, 0), Place(seq, day.isoformat() if has_more else None))


def find_place(statements: Statements, reader: str) -> Place:
    """Return a reader's place, the beginning for a new one."""
    found = statements.run('select "cursor" from sync_state where stream = ? and scope = ?', [READERS, reader])
    if not found:
        return Place()
    stored = json.loads(found[0][0])
    return replace(Place(**stored), before=tuple(stored["before"]))


def store_place(statements: Statements, reader: str, place: Place, now: datetime) -> None:
    """Store a reader's place, in the transaction of what it made of the days."""
    statements.run("delete from sync_state where stream = ? and scope = ?", [READERS, reader])
    statements.run(
        'insert into sync_state (stream, scope, "cursor", last_run_at, requests_spent) values (?, ?, ?, ?, ?)',
        [READERS, reader, json.dumps(asdict(place)), now, 0],
    )


def _changes(statements: Statements, since: int, workspace_id: int | None) -> list[tuple[int, date]]:
    rows = statements.run('select workspace_id, seq, "day" from changed_days where seq > ?', [since])
    return [(int(seq), _as_day(day)) for workspace, seq, day in rows if workspace_id in (None, workspace)]


def _last_seq(statements: Statements) -> int:
    return int(statements.run("select max(seq) from change_counter")[0][0])


def _as_day(value: Any) -> date:
    """Return an engine's date, which may be a text, as a date."""
    return date.fromisoformat(str(value)[:10])
