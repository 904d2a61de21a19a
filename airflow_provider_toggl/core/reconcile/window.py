"""One window: compared by ids or by sums, read again where it differs, and compared once more."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, tzinfo
from typing import Any

import numpy as np

from airflow_provider_toggl.core.clock import Clock as MachineClock
from airflow_provider_toggl.core.clock import utc
from airflow_provider_toggl.core.extract.summaries import Int64s, WindowTotals
from airflow_provider_toggl.core.extract.windows import DAY, Window
from airflow_provider_toggl.core.reconcile import compare, deletion_policy
from airflow_provider_toggl.core.reconcile.compare import EntryRows, Key, ReportTime, as_ids
from airflow_provider_toggl.core.reconcile.cursor import VerifiedWindow, WindowProgress
from airflow_provider_toggl.core.reconcile.deletion_policy import Visibility
from airflow_provider_toggl.core.reconcile.deletions import Absence, Missing
from airflow_provider_toggl.core.reconcile.entry_queries import EntryQueries, KnownEntities
from airflow_provider_toggl.core.reconcile.request import ReconcileRequest, list_ids
from airflow_provider_toggl.core.reconcile.runner import Reading
from airflow_provider_toggl.core.wording import plural

log = logging.getLogger(__name__)

NOT_FOUND = "told by the summary, and not found by the search"
TOTALS_DIFFER = "sums of seconds differ, though every entry was read again"
NOT_IN_TOTALS = "running or of no seconds, and so in no sum, where reports neither give ids nor take them"
#: So many pages of a window are read in one go at most.
MOST_PAGES_AT_ONCE = 10
CHANGING = "sums of seconds differ, and entries changed while they were compared"


@dataclass(frozen=True)
class Surroundings:
    """What a window's proof stands on.

    :param sight: tells what the token may see.
    :param look_elsewhere: lands what changed on all other days; an entry that is missing may have moved there.
    :param tags: which tags there are, and ``tasks`` likewise: entries may still have others.
    """

    reading: Reading
    warehouse: EntryQueries
    request: ReconcileRequest
    zone: tzinfo
    clock: MachineClock
    sight: Callable[[], Visibility]
    look_elsewhere: Callable[[], None]
    tags: KnownEntities
    tasks: KnownEntities


class WindowProof:
    """Proves one window."""

    def __init__(self, around: Surroundings, window: Window) -> None:
        self._around = around
        self._reading = around.reading
        self._window = window
        self._bounds = compare.day_bounds(window, around.zone)
        kept = around.reading.cursor.open
        is_same = kept is not None and kept.window == window and kept.opened_at >= around.request.run_started
        started = max(utc(around.clock.now()), around.request.run_started)
        self._open = kept if is_same and kept is not None else WindowProgress(window.first, window.last, started)
        begin, end = int(self._bounds[0]), int(self._bounds[-1])
        self._absence = Absence(
            around.reading,
            around.request.rules,
            around.zone,
            sight=around.sight,
            neighbours=lambda: around.warehouse.neighbours(begin, end),
        )
        self._absence.unverified.update(self._open.unverified)
        self._shown: list[Int64s] = []
        self._weightless = 0
        self.refused: tuple[int, int] | None = None

    def prove(self) -> VerifiedWindow:
        """Compare, repair and compare again; return what is proved and what is not.

        :raises PayloadRefused: the window is longer than reports may be; the reading knows by how much.
        """
        before = self._reading.landed
        sums, clock = self._reading.read_sums(self._window)
        if sums.ids is None and self._reading.cursor.gives_ids is not False:
            log.info("Summaries give no ids here: %s is compared by its sums of seconds.", self._window)
        self._reading.keep(gives_ids=sums.ids is not None)
        rows = self._rows()
        if sums.ids is not None:
            self._prove_ids(rows, sums, clock)
        else:
            self._prove_sums(rows, sums, clock)
        if self._reading.landed != before:
            rows = self._rows()
        unverified = {reason: len(ids) for reason, ids in self._absence.unverified.items()}
        unverified |= self._rest(rows, sums, clock)
        return VerifiedWindow(
            first=self._window.first,
            last=self._window.last,
            proved_at=clock.date - clock.lag,
            done_at=max(utc(self._around.clock.now()), self._around.request.run_started),
            entries=len(rows),
            by_ids=sums.ids is not None,
            unverified=unverified,
        )

    # by ids

    def _prove_ids(self, rows: EntryRows, sums: WindowTotals, clock: ReportTime) -> None:
        ids = as_ids(()) if sums.ids is None else sums.ids
        found = compare.compare_ids(rows, sums)
        self._note_running(rows.where(~found.gone))
        doubtful = self._doubtful(rows)
        wanted = np.unique(np.concatenate([found.missing, found.moved, doubtful[np.isin(doubtful, ids)]]))
        if len(wanted):
            log.info(
                "%s: %s missing here, %d of another user or project: read again (%s).",
                self._window, plural(len(found.missing), "entry"), len(found.moved), list_ids(wanted.tolist()),
            )  # fmt: skip
            if not self._read_ids(wanted):
                # Where those are that are here is known, of the others only whose they are.
                self._reread(rows, wanted[np.isin(wanted, rows.ids)])
                users = set(sums.users[np.isin(ids, wanted)].tolist()) | set(rows.users[rows.among(wanted)].tolist())
                here = rows.where(np.isin(rows.users, as_ids(users)) & ~found.gone)
                self._read_days(here, sorted(users), clock)
            rows = self._rows()
        self._read_differing_groups(rows.where(rows.among(ids)), sums, clock)
        self._hear(lambda fresh: fresh.where(~fresh.among(ids)), clock)

    def _read_ids(self, ids: Int64s) -> bool:
        """Read entries by their ids, on whatever day of the window they are; False where that filter does not work."""
        if self._reading.cursor.takes_ids is False:
            return False
        size = self._reading.page_size
        for begin in range(0, len(ids), size):
            heard = self._reading.read(self._window, {"time_entry_ids": ids[begin : begin + size].tolist()})
            if heard.foreign and not heard.complete:
                return False
            self._shown.append(heard.ids)
        return True

    # by sums

    def _prove_sums(self, rows: EntryRows, sums: WindowTotals, clock: ReportTime) -> None:
        pending = set(self._open.pending)
        # What has no seconds, or runs, is in no sum that could prove it.
        weightless = rows.ids[(rows.seconds <= 0) | rows.running]
        doubtful = self._doubtful(rows)
        if not self._open.reread:
            if len(weightless) and not self._read_ids(weightless):
                self._weightless = len(weightless)
            elif len(weightless):
                pending |= set(np.setdiff1d(weightless, np.concatenate(self._shown)).tolist())
            pending |= self._reread(rows, doubtful)
            self._keep(reread=True, pending=tuple(pending))
        groups = compare.differing_groups(rows.where(~rows.among(pending)), sums, clock)
        if groups:
            log.info("%s: the seconds of %d groups of user and project differ.", self._window, len(groups))
            users = sorted({user for user, _ in groups})
            of_users = rows.where(np.isin(rows.users, as_ids(users)) & ~rows.among(pending))
            pending |= self._read_days(of_users, users, clock)
            rows = self._rows()
            left = compare.differing_groups(rows.where(~rows.among(pending)), sums, clock)
            pending |= self._read_groups(rows, [key for key in left if key not in self._open.groups])
        ids = as_ids(pending)
        self._hear(lambda fresh: fresh.where(fresh.among(ids)), clock)

    def _reread(self, rows: EntryRows, ids: Int64s) -> set[int]:
        """Read entries again that sums prove nothing of; return the ids of those that were not shown."""
        if not len(ids):
            return set()
        already = len(self._shown)
        wanted = rows.where(rows.among(ids))
        if not self._read_ids(ids):
            for window in self._join(self._days(wanted), rows):
                self._read_window(window, wanted, sorted(set(wanted.users.tolist())))
        shown = np.concatenate([as_ids(()), *self._shown[already:]])
        return set(wanted.ids[~wanted.among(shown)].tolist())

    def _read_days(self, rows: EntryRows, users: list[int], clock: ReportTime) -> set[int]:
        """Read the days again on which some users' seconds differ; return the ids that were not shown."""
        told, clock = self._reading.read_days(self._window, users)
        every = [self._window.first + number * DAY for number in range(self._window.days)]
        if told is None:
            log.warning("Toggl gives no sums by day for %s: all of its days are read.", self._window)
            days = every
        else:
            days = [every[number] for number in compare.differing_days(rows, self._bounds, told, clock)]
        lost: set[int] = set()
        for window in self._fewest([day for day in days if day not in self._open.days], rows):
            lost |= self._read_window(window, rows, users, by_groups=True)
            read = {day for day in days if window.first <= day <= window.last}
            self._keep(days=(*self._open.days, *sorted(read)), pending=tuple({*self._open.pending, *lost}))
        return lost

    def _fewest(self, days: list[date], rows: EntryRows) -> list[Window]:
        """Return what to read for some days: joined where a page holds them, or all of it where that is less."""
        joined = self._join(days, rows)
        pages = -(-len(rows) // self._reading.page_size)
        # What is read whole is read again from its begin after a wait for the quota: not where it takes many pages.
        return [self._window] if MOST_PAGES_AT_ONCE >= pages < len(joined) else joined

    def _read_window(self, window: Window, rows: EntryRows, users: list[int], *, by_groups: bool = False) -> set[int]:
        """Read some days again, all that some users have there; return the ids of rows that were not shown.

        :param by_groups: where that is more than a page, let the days' own summary tell which groups differ, so that
            two requests do; then ``rows`` are all that these users have.
        """
        numbers = ((window.first - self._window.first).days, (window.last - self._window.first).days + 1)
        begin, end = self._bounds[list(numbers)]
        inside = rows.where((rows.starts >= begin) & (rows.starts < end))
        filters: dict[str, Any] = {"user_ids": users}
        if by_groups and len(inside) > self._reading.page_size and window != self._window:
            sums, clock = self._reading.read_sums(window)
            wanted = set(users)
            here = [key for key in compare.differing_groups(inside, sums, clock) if key[0] in wanted]
            if not here:
                return set()
            inside, filters = inside.where(compare.in_groups(inside, here)), compare.groups_filter(here)
        heard = self._reading.read(window, filters)
        self._shown.append(heard.ids)
        return set(inside.ids[~inside.among(heard.ids)].tolist())

    # either way

    def _read_differing_groups(self, rows: EntryRows, sums: WindowTotals, clock: ReportTime) -> None:
        """Read groups again whose ids are as told, and whose seconds are not: a change that moved no ``at``."""
        differing = compare.differing_groups(rows, sums, clock)
        self._read_groups(rows, [key for key in differing if key not in self._open.groups])

    def _read_groups(self, rows: EntryRows, groups: list[Key]) -> set[int]:
        """Read all of some groups again; return the ids that were not shown."""
        if not groups:
            return set()
        log.info("%s: %d groups of user and project are read again.", self._window, len(groups))
        heard = self._reading.read(self._window, compare.groups_filter(groups))
        self._shown.append(heard.ids)
        own = rows.where(compare.in_groups(rows, groups))
        lost = set(own.ids[~own.among(heard.ids)].tolist())
        self._keep(groups=(*self._open.groups, *groups), pending=tuple({*self._open.pending, *lost}))
        return lost

    def _hear(self, find: Callable[[EntryRows], EntryRows], clock: ReportTime) -> None:
        """Hear what is missing, if anything is: after all other days were looked through, since it may have moved."""
        rows = self._rows()
        missing = Missing(find(rows), rows, clock)
        left, is_refused = self._absence.sift(missing)
        if is_refused:
            self.refused = (len(left), len(rows))
        if is_refused or not len(left):
            return
        self._around.look_elsewhere()
        rows = self._rows()
        missing = replace(missing, candidates=find(rows), rows=rows)
        left = left.where(left.among(rows.ids))
        try:
            self._absence.hear(left, missing)
        finally:
            self._keep(unverified=dict(self._absence.unverified))

    def _rest(self, rows: EntryRows, sums: WindowTotals, clock: ReportTime) -> dict[str, int]:
        """Compare with the same sums again, at no cost; return what still differs, by reason."""
        rest: dict[str, int] = {NOT_IN_TOTALS: self._weightless} if self._weightless else {}
        unverified = as_ids(id_ for ids in self._absence.unverified.values() for id_ in ids)
        known = rows
        if sums.ids is not None:
            missing = sums.ids[~np.isin(sums.ids, rows.ids)]
            if len(missing):
                missing = missing[~np.isin(missing, self._around.warehouse.live_among(missing))]
            if len(missing):
                entries = plural(len(missing), "entry")
                log.warning("%s: %s %s: %s.", self._window, entries, NOT_FOUND, list_ids(missing.tolist()))
                rest[NOT_FOUND] = len(missing)
            known = rows.where(rows.among(sums.ids))
        known = known.where(~known.among(unverified))
        differing = compare.differing_groups(known, sums, clock)
        if differing and deletion_policy.NEEDS_APPROVAL not in self._absence.unverified:
            since = compare.micros(clock.date - clock.lag)
            users = as_ids({user for user, _ in differing})
            is_changing = bool((rows.updated[np.isin(rows.users, users)] >= since).any())
            reason = CHANGING if is_changing else TOTALS_DIFFER
            log.warning("%s: %d groups: %s (user, project: %s).", self._window, len(differing), reason, differing[:20])
            rest[reason] = len(differing)
        return rest

    def _rows(self) -> EntryRows:
        return self._around.warehouse.rows(int(self._bounds[0]), int(self._bounds[-1]))

    def _doubtful(self, rows: EntryRows) -> Int64s:
        """Return rows that have a tag or task that is gone: Toggl takes it off them without moving their ``at``."""
        if not (self._around.tags.has_gone or self._around.tasks.has_gone):
            return as_ids(())
        begin, end = int(self._bounds[0]), int(self._bounds[-1])
        found = self._around.warehouse.doubtful(begin, end, self._around.tags, self._around.tasks)
        return found[np.isin(found, rows.ids)]

    def _note_running(self, shown: EntryRows) -> None:
        if shown.running.any() and not self._reading.cursor.shows_running:
            self._reading.keep(shows_running=True)

    def _days(self, rows: EntryRows) -> list[date]:
        return sorted({compare.day_of(start, self._around.zone) for start in rows.starts.tolist()})

    def _join(self, days: list[date], rows: EntryRows) -> list[Window]:
        places = np.searchsorted(self._bounds, rows.starts, side="right") - 1
        numbers, counts = np.unique(places, return_counts=True)
        count = {
            self._window.first + int(number) * DAY: int(rows_) for number, rows_ in zip(numbers, counts, strict=True)
        }
        # What is missing here comes on top of what is known.
        return list(compare.join_days(days, count, self._reading.page_size * 9 // 10))

    def _keep(self, **changes: object) -> None:
        self._open = replace(self._open, **changes)  # type: ignore[arg-type]
        self._reading.keep(open=self._open)
        self._reading.store()
