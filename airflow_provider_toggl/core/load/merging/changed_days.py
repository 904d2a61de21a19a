"""Which days of the facts changed, stored in the warehouse so that readers may ask what changed since they last did.

Each load gives the days that it really changed the next number, in its own transaction. A day keeps only its latest
number, so the list has at most one row a day and readers need not register. Numbers become visible in their order: the
counter's row is locked from the moment that a number is taken until the load is committed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_toggl.core.databases.statements import load_statements
from airflow_provider_toggl.core.instants import EARLIEST, LATEST
from airflow_provider_toggl.core.load.tables.state import find_state, store_progress
from airflow_provider_toggl.core.load.values import Progress

if TYPE_CHECKING:
    from airflow_provider_toggl.core.load.engines.contract import Session
    from airflow_provider_toggl.core.load.engines.dialect import Dialect

READERS = "changed_days"
"""The stream of ``sync_state`` under which readers of days store their offsets."""

_CHUNK = 200
STATEMENTS = load_statements(__package__, "changed_days.sql")


@dataclass(frozen=True)
class ChangedDays:
    """Days that changed.

    :param days: in order, in the zone of ``time_entry_facts``.
    :param cursor: pass it the next time to get only what changed after this.
    """

    days: tuple[date, ...]
    cursor: int


@dataclass(frozen=True)
class DayOffset:
    """How far a reader has reported days, in the order of changes, the latest day of a change first.

    :param seq: all changes before it are reported, and of it the days from ``day`` on.
    :param day: RFC 3339; None: all days of that change.
    :param run: the run that reported last.
    :param before: the offset before that run, so that its next try can report the same days again.
    """

    seq: int = 0
    day: str | None = None
    run: str | None = None
    before: tuple[int, str | None] = (0, None)

    def of_try(self, run: str | None) -> DayOffset:
        """Return where a try begins: a second try of the same run reports again what the first one reported."""
        return DayOffset(*self.before) if run is not None and self.run == run else self

    def is_before(self, seq: int, day: str) -> bool:
        """Return whether a day's change comes after this offset."""
        return seq > self.seq or (seq == self.seq and self.day is not None and day < self.day)


@dataclass(frozen=True)
class PendingDays:
    """Days that are to be reported.

    :param days: the next ones in order of their changes.
    :param left: how many more there are.
    :param offset: the offset after ``days``.
    """

    days: tuple[date, ...]
    left: int
    offset: DayOffset


def create_days(dialect: Dialect) -> list[str]:
    """Return the statements that create the tables. Days of entries that are stored already are the first change."""
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


def record_days(session: Session, days: Iterable[tuple[int, date]], changed_at: datetime) -> None:
    """Give days the next number. Do so last in a load, since other loads wait for the counter from then on.

    :param days: workspaces' ids and days.
    :param changed_at: now, for people who look at the table.
    """
    by_workspace: dict[int, list[date]] = {}
    for workspace_id, day in sorted(days):
        by_workspace.setdefault(workspace_id, []).append(day)
    if not by_workspace:
        return
    session.run(STATEMENTS["increment_counter"])
    seq = last_seq(session)
    if not seq:
        session.run(STATEMENTS["restore_counter"])
        seq = last_seq(session)
    for workspace_id, some in by_workspace.items():
        for begin in range(0, len(some), _CHUNK):
            _store(session, workspace_id, some[begin : begin + _CHUNK], [seq, changed_at])


def _store(session: Session, workspace_id: int, days: list[date], rest: list[Any]) -> None:
    values = [as_parameter(session, day) for day in days]
    marks = ", ".join("?" for _ in days)
    session.run(f"{STATEMENTS['delete_days']} ({marks})", [workspace_id, *values])
    rows = ", ".join("(?, ?, ?, ?)" for _ in days)
    session.run(
        f"{STATEMENTS['insert_days']} {rows}", [value for day in values for value in (workspace_id, day, *rest)]
    )


def find_days(session: Session, since: int = 0, workspace_id: int | None = None) -> ChangedDays:
    """Return the days that changed after a cursor; all days if the cursor is from another warehouse.

    :param since: the cursor of an earlier result; 0: every day that ever had an entry.
    """
    if since > last_seq(session):
        since = 0
    found = _changes(session, since, workspace_id)
    return ChangedDays(tuple(sorted({day for _, day in found})), max((seq for seq, _ in found), default=since))


def find_fact_days(session: Session) -> set[tuple[int, date]]:
    """Return every workspace and day that has facts."""
    session.fetch_workspace("time_entries", None)
    rows = session.run(STATEMENTS["list_fact_days"], [EARLIEST, LATEST])
    return {(int(workspace_id), as_day(day)) for workspace_id, day in rows}


def find_pending_days(session: Session, offset: DayOffset, workspace_id: int, limit: int) -> PendingDays:
    """Return the next days after an offset.

    :param limit: at most so many.
    """
    if offset.seq > last_seq(session):
        offset = DayOffset()
    changes = _changes(session, offset.seq - 1, workspace_id)
    changes = [(seq, day) for seq, day in changes if offset.is_before(seq, day.isoformat())]
    changes.sort(key=lambda change: (change[0], -change[1].toordinal()))
    pending, left = changes[:limit], len(changes) - limit
    if not pending:
        return PendingDays((), max(left, 0), offset)
    seq, day = pending[-1]
    has_more = left > 0 and changes[limit][0] == seq
    after = DayOffset(seq, day.isoformat() if has_more else None)
    return PendingDays(tuple(day for _, day in pending), max(left, 0), after)


def find_offset(session: Session, reader: str) -> DayOffset:
    """Return a reader's offset, the beginning for a new one."""
    found = find_state(session, READERS, reader)
    if found is None:
        return DayOffset()
    stored = json.loads(found.cursor)
    return replace(DayOffset(**stored), before=tuple(stored["before"]))


def store_offset(session: Session, reader: str, offset: DayOffset, now: datetime) -> None:
    """Store a reader's offset, in the transaction of what it made of the days."""
    store_progress(session, Progress(READERS, reader, None, json.dumps(asdict(offset)), 0, now))


def _changes(session: Session, since: int, workspace_id: int | None) -> list[tuple[int, date]]:
    rows = session.run(STATEMENTS["list_changes"], [since])
    return [(int(seq), as_day(day)) for workspace, seq, day in rows if workspace_id in (None, workspace)]


def last_seq(session: Session) -> int:
    """Return the number of the latest change, 0 before the first."""
    return int(session.run(STATEMENTS["find_last_seq"])[0][0] or 0)


def as_day(value: Any) -> date:
    """Return an engine's date, which may be a text, as a date."""
    return date.fromisoformat(str(value)[:10])


def as_parameter(session: Session, day: date) -> date | str:
    """Return a date as the engine takes it."""
    return day.isoformat() if session.dialect.types["date"] == "text" else day
