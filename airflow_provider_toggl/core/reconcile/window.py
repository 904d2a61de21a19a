"""Verify one window: compare it with Toggl, read again what differs, confirm deletions, and compare once more. Pure.

Nothing here asks Toggl or a warehouse. :meth:`WindowVerification.verify` yields what to ask and receives the answer,
see ``steps``. There are two ways to compare. Where summaries have the ids of their entries, each entry is compared.
Where they do not, the seconds of each user and project are compared, then those of each day, to find which days to read
again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Any

import numpy as np

from airflow_provider_toggl.core.extract.summaries import Int64s, WindowTotals
from airflow_provider_toggl.core.extract.windows import DAY, Window
from airflow_provider_toggl.core.reconcile import compare, deletion_policy, steps
from airflow_provider_toggl.core.reconcile.compare import EntryRows, Key, ReportTime, as_ids
from airflow_provider_toggl.core.reconcile.cursor import VerifiedWindow
from airflow_provider_toggl.core.reconcile.deletion_steps import MissingRows, confirm_deletions, select_candidates
from airflow_provider_toggl.core.reconcile.request import list_ids
from airflow_provider_toggl.core.reconcile.state import RunState
from airflow_provider_toggl.core.reconcile.steps import Steps, ask
from airflow_provider_toggl.core.wording import plural

log = logging.getLogger(__name__)

# Why something of a window is not verified, in the words of logs and results; more are in ``deletion_policy``.
NOT_FOUND = "in the summary, but not found by the search"
NOT_IN_TOTALS = "running or without seconds, so in no total, on more days than are read again"
TOTALS_DIFFER = "total seconds differ although every entry was read again"
CHANGING = "total seconds differ, and entries changed during the comparison"

#: At most this many reports are read in one go: after a wait for the quota, they are read from the first one again.
MAX_PAGES_AT_ONCE = 10


@dataclass(frozen=True)
class WindowResult:
    """The outcome of a verification.

    :param verified: what was compared, and what could not be verified.
    :param refused: how many entries are missing, and of how many live ones, where a person must approve their deletion.
    """

    verified: VerifiedWindow
    refused: tuple[int, int] | None


class WindowVerification:
    """Verifies one window of days.

    :param state: the state of the run; the verification records its progress there.
    :param zone: the time zone of the token's owner, whose days reports have.
    :param opened_at: now, by this machine's clock.
    """

    def __init__(self, window: Window, state: RunState, zone: tzinfo, opened_at: datetime) -> None:
        self._window = window
        self._state = state
        self._zone = zone
        self._bounds = compare.day_bounds(window, zone)
        self._begin, self._end = int(self._bounds[0]), int(self._bounds[-1])
        self._opened_at = opened_at
        self._shown: list[Int64s] = []

    def verify(self) -> Steps[WindowResult]:
        """Yield what to do until the window is verified; return what is verified and what is not.

        :raises PayloadRefused: the window is longer than a report may be; the state knows how long that is.
        """
        state = self._state
        state.open_window(self._window, self._opened_at)
        loaded = state.loaded
        totals, at = yield from ask(steps.ReadTotals(self._window))
        if totals.ids is None and state.cursor.gives_ids is not False:
            log.info("Summaries have no ids here: %s is compared by total seconds.", self._window)
        state.update(gives_ids=totals.ids is not None)
        rows = yield from self._rows()
        if totals.ids is None:
            pending = yield from self._compare_totals(rows, totals, at)
            refused = yield from self._confirm_deletions(at, pending=pending)
        else:
            yield from self._compare_ids(rows, totals, totals.ids, at)
            refused = yield from self._confirm_deletions(at, existing=totals.ids)
        if state.loaded != loaded:
            rows = yield from self._rows()
        unverified = {reason: len(ids) for reason, ids in state.window.unverified.items()}
        if refused:
            unverified[deletion_policy.NEEDS_APPROVAL] = refused[0]
        unverified |= yield from self._compare_again(rows, totals, at, with_totals=not refused)
        verified = VerifiedWindow(
            first=self._window.first,
            last=self._window.last,
            verified_at=at.date - at.lag,
            started_at=self._opened_at,
            entries=len(rows),
            by_ids=totals.ids is not None,
            unverified=unverified,
        )
        return WindowResult(verified, refused)

    # Compare by ids

    def _compare_ids(self, rows: EntryRows, totals: WindowTotals, ids: Int64s, at: ReportTime) -> Steps[None]:
        """Read again what is missing here, has another user or project, or has other seconds."""
        found = compare.compare_ids(rows, totals)
        if rows.running[~found.absent].any():
            self._state.update(shows_running=True)
        outdated = yield from self._outdated(rows)
        wanted = np.unique(np.concatenate([found.missing, found.moved, outdated[np.isin(outdated, ids)]]))
        if len(wanted):
            log.info(
                "%s: %s missing here, %d with another user or project; reading them again (%s).",
                self._window, plural(len(found.missing), "entry"), len(found.moved), list_ids(wanted.tolist()),
            )  # fmt: skip
            if not (yield from self._read_ids(wanted)):
                # The days of known rows are known; of the missing ones only the users are.
                yield from self._read_again(rows, wanted[np.isin(wanted, rows.ids)])
                users = {*totals.users[np.isin(ids, wanted)].tolist(), *rows.users[rows.among(wanted)].tolist()}
                here = rows.where(np.isin(rows.users, as_ids(users)) & ~found.absent)
                yield from self._read_days(here, sorted(users))
            rows = yield from self._rows()
        rows = rows.where(rows.among(ids))
        # The ids are right and the seconds are not: a change that did not move ``at``.
        yield from self._read_groups(rows, compare.differing_groups(rows, totals, at))

    def _read_ids(self, ids: Int64s) -> Steps[bool]:
        """Read entries by their ids; return False where reports ignore that filter."""
        if self._state.cursor.takes_ids is False:
            return False
        size = self._state.page_size
        for begin in range(0, len(ids), size):
            filters = {"time_entry_ids": ids[begin : begin + size].tolist()}
            shown = yield from ask(steps.ReadEntries(self._window, filters))
            if shown.has_others and not shown.is_complete:
                return False
            self._shown.append(shown.ids)
        return True

    # Compare by total seconds

    def _compare_totals(self, rows: EntryRows, totals: WindowTotals, at: ReportTime) -> Steps[set[int]]:
        """Read again the groups and days whose seconds differ; return the ids of rows that these reports lacked."""
        window = self._state.window
        pending = set(window.pending)
        # No total shows whether an entry exists that runs or has no seconds.
        unseen = rows.ids[(rows.seconds <= 0) | rows.running]
        outdated = yield from self._outdated(rows)
        if not window.reread:
            pending |= yield from self._read_uncounted(rows, unseen)
            pending |= yield from self._read_again(rows, outdated)
            yield from self._save(reread=True, pending=tuple(pending))
        groups = compare.differing_groups(rows.where(~rows.among(pending)), totals, at)
        if groups:
            log.info("%s: the seconds of %s of user and project differ.", self._window, plural(len(groups), "group"))
            users = sorted({user for user, _ in groups})
            of_users = rows.where(np.isin(rows.users, as_ids(users)) & ~rows.among(pending))
            pending |= yield from self._read_days(of_users, users)
            rows = yield from self._rows()
            left = compare.differing_groups(rows.where(~rows.among(pending)), totals, at)
            pending |= yield from self._read_groups(rows, left)
        return pending

    def _read_again(self, rows: EntryRows, ids: Int64s) -> Steps[set[int]]:
        """Read rows again by their ids, or by their days; return the ids that were not shown."""
        already, wanted = len(self._shown), rows.where(rows.among(ids))
        if not (yield from self._read_ids(ids)):
            yield from self._read_windows(self._windows_of(wanted, rows), wanted)
        return self._not_shown(wanted, already)

    def _read_uncounted(self, rows: EntryRows, ids: Int64s) -> Steps[set[int]]:
        """Read rows again that are in no total, unless their days are too many; return the ids that were not shown."""
        already, wanted = len(self._shown), rows.where(rows.among(ids))
        if not (yield from self._read_ids(ids)):
            windows = self._windows_of(wanted, rows)
            if len(windows) > MAX_PAGES_AT_ONCE:
                self._state.add_unverified(NOT_IN_TOTALS, wanted.ids.tolist())
                return set()
            yield from self._read_windows(windows, wanted)
        return self._not_shown(wanted, already)

    def _windows_of(self, wanted: EntryRows, rows: EntryRows) -> list[Window]:
        """Return the days of the wanted rows, as windows of about a page."""
        return self._join(sorted({compare.day_of(start, self._zone) for start in wanted.starts.tolist()}), rows)

    def _read_windows(self, windows: list[Window], wanted: EntryRows) -> Steps[None]:
        for window in windows:
            yield from self._read_window(window, wanted, sorted(set(wanted.users.tolist())))

    def _not_shown(self, wanted: EntryRows, already: int) -> set[int]:
        """Return the ids that no report has shown after the first ``already`` ones."""
        shown = np.concatenate([as_ids(()), *self._shown[already:]])
        return set(wanted.ids[~wanted.among(shown)].tolist())

    def _read_days(self, rows: EntryRows, users: list[int]) -> Steps[set[int]]:
        """Read the days again on which some users' seconds differ; return the ids of rows that were not shown."""
        seconds, at = yield from ask(steps.ReadDailySeconds(self._window, users))
        every = [self._window.first + number * DAY for number in range(self._window.days)]
        if seconds is None:
            log.warning("Toggl gives no totals by day for %s: all its days are read again.", self._window)
            days = every
        else:
            days = [every[number] for number in compare.differing_days(rows, self._bounds, seconds, at)]
        lost: set[int] = set()
        for window in self._choose_windows([day for day in days if day not in self._state.window.days], rows):
            lost |= yield from self._read_window(window, rows, users, by_groups=True)
            read = [day for day in days if window.first <= day <= window.last]
            progress = self._state.window
            yield from self._save(days=(*progress.days, *read), pending=tuple({*progress.pending, *lost}))
        return lost

    def _choose_windows(self, days: list[date], rows: EntryRows) -> list[Window]:
        """Return the windows to read for some days: joined days, or the whole window where that is fewer requests."""
        joined = self._join(days, rows)
        pages = -(-len(rows) // self._state.page_size)
        # After a wait for the quota, a window is read again from its first page: so only a short one is read whole.
        return [self._window] if MAX_PAGES_AT_ONCE >= pages < len(joined) else joined

    def _read_window(
        self, window: Window, rows: EntryRows, users: list[int], *, by_groups: bool = False
    ) -> Steps[set[int]]:
        """Read what some users have on some days; return the ids of rows that were not shown.

        :param by_groups: where that is more than a page, read the days' summary first, and then only the groups that
            differ. ``rows`` must then be all rows that these users have.
        """
        numbers = [(window.first - self._window.first).days, (window.last - self._window.first).days + 1]
        begin, end = self._bounds[numbers]
        inside = rows.where((rows.starts >= begin) & (rows.starts < end))
        filters: dict[str, Any] = {"user_ids": users}
        if by_groups and len(inside) > self._state.page_size and window != self._window:
            totals, at = yield from ask(steps.ReadTotals(window))
            wanted = set(users)
            differing = [key for key in compare.differing_groups(inside, totals, at) if key[0] in wanted]
            if not differing:
                return set()
            inside, filters = inside.where(compare.in_groups(inside, differing)), compare.groups_filter(differing)
        return (yield from self._read_rows(window, inside, filters))

    def _read_groups(self, rows: EntryRows, groups: list[Key]) -> Steps[set[int]]:
        """Read all entries of some groups that were not read yet; return the ids of rows that were not shown."""
        groups = [key for key in groups if key not in self._state.window.groups]
        if not groups:
            return set()
        log.info("%s: reading %s of user and project again.", self._window, plural(len(groups), "group"))
        own = rows.where(compare.in_groups(rows, groups))
        lost = yield from self._read_rows(self._window, own, compare.groups_filter(groups))
        progress = self._state.window
        yield from self._save(groups=(*progress.groups, *groups), pending=tuple({*progress.pending, *lost}))
        return lost

    def _read_rows(self, window: Window, rows: EntryRows, filters: dict[str, Any]) -> Steps[set[int]]:
        shown = yield from ask(steps.ReadEntries(window, filters))
        self._shown.append(shown.ids)
        return set(rows.ids[~rows.among(shown.ids)].tolist())

    # Both ways

    def _confirm_deletions(
        self, at: ReportTime, *, existing: Int64s | None = None, pending: set[int] | None = None
    ) -> Steps[tuple[int, int] | None]:
        """Confirm which missing entries are deleted; return the numbers of :class:`WindowResult` for a refusal.

        :param existing: all ids that the summary has; other rows are missing.
        :param pending: without a summary's ids: the ids of rows that reports lacked.
        """
        missing = yield from self._missing(at, existing, pending)
        candidates, needs_approval = yield from select_candidates(missing, self._state)
        if needs_approval:
            reason, ids = deletion_policy.NEEDS_APPROVAL, list_ids(candidates.ids.tolist())
            log.warning("%d missing in reports and kept: %s (%s).", len(candidates), reason, ids)
            return len(candidates), len(missing.rows)
        if len(candidates):
            yield from ask(steps.ReadOtherDays())
            missing = yield from self._missing(at, existing, pending)
            candidates = candidates.where(candidates.among(missing.rows.ids))
            yield from confirm_deletions(candidates, missing, self._state, self._zone, self._bounds)
        return None

    def _missing(self, at: ReportTime, existing: Int64s | None, pending: set[int] | None) -> Steps[MissingRows]:
        rows = yield from self._rows()
        mask = rows.among(pending or ()) if existing is None else ~rows.among(existing)
        return MissingRows(rows.where(mask), rows, at)

    def _compare_again(
        self, rows: EntryRows, totals: WindowTotals, at: ReportTime, *, with_totals: bool
    ) -> Steps[dict[str, int]]:
        """Compare with the same totals once more, without a request; return what still differs, by reason.

        :param with_totals: False compares only ids, where many rows are known to be missing.
        """
        found: dict[str, int] = {}
        compared = rows
        if totals.ids is not None:
            missing = totals.ids[~np.isin(totals.ids, rows.ids)]
            if len(missing):
                live = yield from ask(steps.QueryLive(missing))
                missing = missing[~np.isin(missing, live)]
            if len(missing):
                entries = plural(len(missing), "entry")
                log.warning("%s: %s %s: %s.", self._window, entries, NOT_FOUND, list_ids(missing.tolist()))
                found[NOT_FOUND] = len(missing)
            compared = rows.where(rows.among(totals.ids))
        unverified = as_ids(id_ for ids in self._state.window.unverified.values() for id_ in ids)
        differing = compare.differing_groups(compared.where(~compared.among(unverified)), totals, at)
        if differing and with_totals:
            since = compare.to_micros(at.date - at.lag)
            users = as_ids({user for user, _ in differing})
            is_changing = bool((rows.updated[np.isin(rows.users, users)] >= since).any())
            reason = CHANGING if is_changing else TOTALS_DIFFER
            groups = plural(len(differing), "group")
            log.warning("%s: %s: %s (user, project: %s).", self._window, groups, reason, differing[:20])
            found[reason] = len(differing)
        return found

    def _rows(self) -> Steps[EntryRows]:
        return (yield from ask(steps.QueryRows(self._begin, self._end)))

    def _outdated(self, rows: EntryRows) -> Steps[Int64s]:
        found = yield from ask(steps.QueryOutdated(self._begin, self._end))
        return found[np.isin(found, rows.ids)]

    def _join(self, days: list[date], rows: EntryRows) -> list[Window]:
        places = np.searchsorted(self._bounds, rows.starts, side="right") - 1
        numbers, counts = np.unique(places, return_counts=True)
        count = {
            self._window.first + int(number) * DAY: int(rows_) for number, rows_ in zip(numbers, counts, strict=True)
        }
        # A tenth of the page is left for entries that are missing here.
        return list(compare.join_days(days, count, self._state.page_size * 9 // 10))

    def _save(self, **progress: Any) -> Steps[None]:
        self._state.update_window(**progress)
        yield from ask(steps.SaveProgress())
