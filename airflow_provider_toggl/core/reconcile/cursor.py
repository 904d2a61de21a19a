"""The cursor of reconciliation: the JSON that ``sync_state`` keeps between requests, runs and deferrals. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from typing import Any

import msgspec

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.extract.cursor import Attempt, EntriesCursor
from airflow_provider_toggl.core.extract.windows import Window
from airflow_provider_toggl.core.reconcile.hidden_periods import HiddenPeriod

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
VERSION = 2


@dataclass(frozen=True)
class VerifiedWindow:
    """A window that was compared with Toggl and repaired.

    :param verified_at: the moment that the comparison describes, by Toggl's clock.
    :param started_at: when the comparison began, by this machine's clock.
    :param entries: live rows in the window.
    :param by_ids: True where every entry was compared by its id, False where only totals of seconds were.
    :param unverified: how many entries (or totals) could not be verified, by reason.
    """

    first: date
    last: date
    verified_at: datetime
    started_at: datetime
    entries: int
    by_ids: bool
    unverified: dict[str, int] = field(default_factory=dict)

    @property
    def window(self) -> Window:
        """Its days."""
        return Window(self.first, self.last)


@dataclass(frozen=True)
class WindowProgress:
    """A window that is being verified, so that nothing is read twice after a wait for the quota.

    :param opened_at: when its verification began, by this machine's clock.
    :param days: days that were read again.
    :param groups: groups that were read again, as (user, project).
    :param reread: whether the entries that no total can verify were read again.
    :param pending: ids of rows that those reports lacked; it is not decided yet whether they are deleted.
    :param unverified: ids of rows that stay live without proof, by reason.
    """

    first: date
    last: date
    opened_at: datetime
    days: tuple[date, ...] = ()
    groups: tuple[tuple[int, int], ...] = ()
    reread: bool = False
    pending: tuple[int, ...] = ()
    unverified: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def window(self) -> Window:
        """Its days."""
        return Window(self.first, self.last)


@dataclass(frozen=True)
class ReconcileCursor:
    """How far reconciliation is, and what it has learned about this workspace's reports.

    :param changes: up to when changes were read, by day.
    :param other_days_read_at: when changes on the days outside the range were last read, by this machine's clock.
    :param gives_ids: whether summaries have the ids of their entries; None before the first summary.
    :param takes_ids: whether reports accept ids as a filter; None before the first try.
    :param shows_running: whether a report has ever shown a running entry.
    :param verified: the windows of the last run.
    :param open: the window that is being verified.
    :param known_until: up to when changes were known before the unfinished run, and before the failed runs since the
        last finished one; None where no run is unfinished.
    :param hidden: what the last run could not see; None where it saw everything.
    :param attempt: the task attempt that ran last.
    """

    version: int = VERSION
    changes: EntriesCursor = field(default_factory=EntriesCursor)
    other_days_read_at: datetime = _EPOCH
    gives_ids: bool | None = None
    takes_ids: bool | None = None
    shows_running: bool = False
    verified: tuple[VerifiedWindow, ...] = ()
    open: WindowProgress | None = None
    known_until: datetime | None = None
    hidden: HiddenPeriod | None = None
    attempt: Attempt | None = None


# Names of version 1.
_RENAMED = {
    "elsewhere_at": "other_days_read_at",
    "proofs": "verified",
    "proved_at": "verified_at",
    "done_at": "started_at",
    "unproved": "unverified",
    "known_to": "known_until",
    "blindness": "hidden",
    "unseen": "counts",
}


def load(text: str | None) -> ReconcileCursor:
    """Return the cursor from its JSON, of this version or of version 1; a new cursor where there is none.

    :raises ConfigurationError: the text is no such cursor.
    """
    if not text:
        return ReconcileCursor()
    try:
        value = msgspec.json.decode(text)
        if isinstance(value, dict) and value.get("version") == 1:
            value = _renamed(value) | {"version": VERSION}
        cursor = msgspec.convert(value, ReconcileCursor)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise _unreadable(error) from None
    if cursor.version > VERSION:
        raise _unreadable(f"its version is {cursor.version}, and this package reads up to {VERSION}")
    return cursor


def dump(cursor: ReconcileCursor) -> str:
    """Return the cursor as JSON."""
    return msgspec.json.encode(cursor).decode()


def _renamed(value: Any) -> Any:
    if isinstance(value, dict):
        return {_RENAMED.get(name, name): _renamed(inner) for name, inner in value.items()}
    return [_renamed(inner) for inner in value] if isinstance(value, list) else value


def _unreadable(reason: object) -> ConfigurationError:
    return ConfigurationError(
        f"The cursor of reconciliation in sync_state is not readable ({reason}). Someone changed it, or a later "
        "version of this package wrote it. Delete its row: the next run then verifies everything, and changes no row "
        "that is right."
    )
