"""Which days of the facts changed, kept in the warehouse so that readers may ask what changed since they last did.

A landing gives the days that it really changed the next number, in its own transaction; a day keeps only its latest
one. So the list never grows beyond a row a day, no reader must be known before it asks, and whoever dies between
landing and telling has told it here already. Numbers become visible in their order: the counter's row is locked from
the moment that a number is taken until the landing is stored.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_toggl.core.instants import EARLIEST, LATEST

if TYPE_CHECKING:
    from airflow_provider_toggl.core.load.dialects import Dialect
    from airflow_provider_toggl.core.load.session import Session

READERS = "changed_days"
"""The stream of ``sync_state`` under which readers of days keep their places."""

_CHUNK = 200


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

    def of_try(self, run: str | None) -> Place:
        """Return where a try begins: a second one of the same run tells again what the first one told."""
        return Place(*self.before) if run is not None and self.run == run else self

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


def create_days(dialect: Dialect) -> list[str]:
    """Return the statements that make the tables of days; the days of entries that are there are the first change."""
    types = dialect.types
    number = types["bigint"]
    return [
        f"""create table changed_days (
    workspace_id {number} not null, "day" {types["date"]} not null, seq {number} not null,
    changed_at {types["timestamp"]} not null, primary key (workspace_id, "day")
)""",
        f"create table change_counter (seq {number} not null)",
        """insert into changed_days (workspace_id, "day", seq, changed_at)
select f.workspace_id, f.local_date, 1, max(e.seen_at)
from time_entry_facts as f join time_entries as e on e.id = f.time_entry_id
where f.local_date is not null group by f.workspace_id, f.local_date""",
        "insert into change_counter (seq) select coalesce(max(seq), 0) from changed_days",
    ]


def note_days(session: Session, days: Iterable[tuple[int, date]], changed_at: datetime) -> None:
    """Give days the next number; do so last in a landing, since others wait for the counter from then on.

    :param days: workspaces' ids and days.
    :param changed_at: now, for people who look.
    """
    by_workspace: dict[int, list[date]] = {}
    for workspace_id, day in sorted(days):
        by_workspace.setdefault(workspace_id, []).append(day)
    if not by_workspace:
        return
    session.run("update change_counter set seq = seq + 1")
    seq = last_seq(session)
    if not seq:
        # Somebody has emptied the table; days that are stored keep their numbers.
        session.run("insert into change_counter (seq) select coalesce(max(seq), 0) + 1 from changed_days")
        seq = last_seq(session)
    for workspace_id, some in by_workspace.items():
        for begin in range(0, len(some), _CHUNK):
            _put(session, workspace_id, some[begin : begin + _CHUNK], [seq, changed_at])


def _put(session: Session, workspace_id: int, days: list[date], rest: list[Any]) -> None:
    marks = ", ".join("?" for _ in days)
    session.run(
        f'delete from changed_days where workspace_id = ? and "day" in ({marks})',  # noqa: S608 - only marks are put in
        [workspace_id, *(as_parameter(session, day) for day in days)],
    )
    rows = ", ".join("(?, ?, ?, ?)" for _ in days)
    session.run(
        f'insert into changed_days (workspace_id, "day", seq, changed_at) values {rows}',  # noqa: S608 - only marks are put in
        [value for day in days for value in (workspace_id, as_parameter(session, day), *rest)],
    )


def find_days(session: Session, since: int = 0, workspace_id: int | None = None) -> ChangedDays:
    """Return the days that changed after a cursor; all there are where the warehouse is not the one it came from.

    :param since: the cursor of an earlier answer; 0: every day that ever had an entry.
    """
    if since > last_seq(session):
        since = 0
    found = _changes(session, since, workspace_id)
    return ChangedDays(tuple(sorted({day for _, day in found})), max((seq for seq, _ in found), default=since))


def find_fact_days(session: Session) -> set[tuple[int, date]]:
    """Return every workspace and day that has facts."""
    # Not of starts at the very ends of the calendar, as earlier versions landed them: not every zone has a date there.
    rows = session.run(
        """select distinct workspace_id, local_date from time_entry_facts
where local_date is not null and "start" >= ? and "start" < ?""",
        [EARLIEST, LATEST],
    )
    return {(int(workspace_id), as_day(day)) for workspace_id, day in rows}


def find_untold(session: Session, place: Place, workspace_id: int, limit: int) -> Untold:
    """Return the next days after a place.

    :param limit: so many at most.
    """
    if place.seq > last_seq(session):
        place = Place()
    changes = [(seq, day) for seq, day in _changes(session, place.seq - 1, workspace_id)]
    changes = [(seq, day) for seq, day in changes if place.is_before(seq, day.isoformat())]
    changes.sort(key=lambda change: (change[0], -change[1].toordinal()))
    told, left = changes[:limit], len(changes) - limit
    if not told:
        return Untold((), max(left, 0), place)
    seq, day = told[-1]
    has_more = left > 0 and changes[limit][0] == seq
    return Untold(tuple(day for _, day in told), max(left, 0), Place(seq, day.isoformat() if has_more else None))


def find_place(session: Session, reader: str) -> Place:
    """Return a reader's place, the beginning for a new one."""
    found = session.run('select "cursor" from sync_state where stream = ? and scope = ?', [READERS, reader])
    if not found:
        return Place()
    stored = json.loads(found[0][0])
    return replace(Place(**stored), before=tuple(stored["before"]))


def store_place(session: Session, reader: str, place: Place, now: datetime) -> None:
    """Store a reader's place, in the transaction of what it made of the days."""
    session.run("delete from sync_state where stream = ? and scope = ?", [READERS, reader])
    session.run(
        'insert into sync_state (stream, scope, "cursor", last_run_at, requests_spent) values (?, ?, ?, ?, ?)',
        [READERS, reader, json.dumps(asdict(place)), now, 0],
    )


def _changes(session: Session, since: int, workspace_id: int | None) -> list[tuple[int, date]]:
    rows = session.run('select workspace_id, seq, "day" from changed_days where seq > ?', [since])
    return [(int(seq), as_day(day)) for workspace, seq, day in rows if workspace_id in (None, workspace)]


def last_seq(session: Session) -> int:
    """Return the number of the latest change, 0 before the first."""
    return int(session.run("select max(seq) from change_counter")[0][0] or 0)


def as_day(value: Any) -> date:
    """Return an engine's date, which may be a text, as a date."""
    return date.fromisoformat(str(value)[:10])


def as_parameter(session: Session, day: date) -> date | str:
    """Return a date as the engine takes it."""
    return day.isoformat() if session.dialect.types["date"] == "text" else day
