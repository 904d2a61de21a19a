"""What reconciliation has proved and how far it is, as the JSON that is kept in ``sync_state``. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timezone

import msgspec

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.extract.cursor import Attempt, EntriesCursor
from airflow_provider_toggl.core.extract.windows import Window
from airflow_provider_toggl.core.reconcile.hidden_periods import HiddenPeriod

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
#: Of each reason so many ids are kept and logged.
MOST_IDS = 20


@dataclass(frozen=True)
class VerifiedWindow:
    """A window that was compared.

    :param proved_at: when, by Toggl's clock less the lag of reports: the moment that is spoken of.
    :param done_at: when, by this machine's clock.
    :param entries: live rows that it has.
    :param by_ids: whether every entry was compared, or only sums.
    :param unverified: how many entries (or sums) of it could not be proved, by reason.
    """

    first: date
    last: date
    proved_at: datetime
    done_at: datetime
    entries: int
    by_ids: bool
    unverified: dict[str, int] = field(default_factory=dict)

    @property
    def window(self) -> Window:
        """Its days."""
        return Window(self.first, self.last)


@dataclass(frozen=True)
class WindowProgress:
    """A window that is being compared, so that a wait for the quota costs nothing twice.

    :param days: days that were read again.
    :param groups: groups that were read again, as (user, project).
    :param reread: entries that sums prove nothing of were read again.
    :param pending: entries that were missing in them, not heard yet.
    :param unverified: entries whose absence was heard and not proved, by reason.
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
    """How far reconciliation is.

    :param changes: how far changes by last update were read, by day.
    :param elsewhere_at: when the days beside the range were last looked through, by this machine's clock.
    :param gives_ids: whether summaries give ids, None before the first.
    :param takes_ids: whether reports take ids as a filter, None before the first.
    :param shows_running: whether a report has ever shown a running entry.
    :param proofs: the windows of the last run.
    :param known_to: up to when changes were known before the run that is not finished, and before those that failed
        since the last one that was; None where none is.
    :param blindness: what the last run lacked, None where that was nothing.
    :param attempt: the attempt that compared last.
    """

    version: int = 1
    changes: EntriesCursor = field(default_factory=EntriesCursor)
    elsewhere_at: datetime = _EPOCH
    gives_ids: bool | None = None
    takes_ids: bool | None = None
    shows_running: bool = False
    proofs: tuple[VerifiedWindow, ...] = ()
    open: WindowProgress | None = None
    known_to: datetime | None = None
    blindness: HiddenPeriod | None = None
    attempt: Attempt | None = None


def load(text: str | None) -> ReconcileCursor:
    """Return a cursor from its JSON, a new one where there is none.

    :raises ConfigurationError: it cannot be read.
    """
    if not text:
        return ReconcileCursor()
    try:
        return msgspec.json.decode(text, type=ReconcileCursor)
    except msgspec.DecodeError as error:
        raise ConfigurationError(
            f"The cursor of reconciliation kept in sync_state cannot be read ({error}). It was changed by hand, or "
            "written by a later version; deleting its row makes the next run a first one, which changes no row that "
            "is right."
        ) from None


def dump(cursor: ReconcileCursor) -> str:
    """Return a cursor as JSON."""
    return msgspec.json.encode(cursor).decode()
