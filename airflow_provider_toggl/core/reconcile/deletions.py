"""Entries that reports lack: heard one by one, and marked only when all that could be wrong is ruled out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from typing import Any

import numpy as np

from airflow_provider_toggl.core.errors import MalformedAnswer
from airflow_provider_toggl.core.reconcile import deletion_policy
from airflow_provider_toggl.core.reconcile.compare import Bools, EntryRows, ReportTime, day_of, join_days
from airflow_provider_toggl.core.reconcile.deletion_policy import DeletionProbe, DeletionRules, Visibility, build_court
from airflow_provider_toggl.core.reconcile.request import list_ids
from airflow_provider_toggl.core.reconcile.runner import Reading

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Missing:
    """What reports lack of a window.

    :param candidates: live rows that they lack.
    :param rows: all live rows of the window, the candidates among them.
    :param clock: when they were shown.
    """

    candidates: EntryRows
    rows: EntryRows
    clock: ReportTime


class Absence:
    """Hears candidates of one window.

    :param sight: tells what the token may see; asked only where there are candidates.
    :param neighbours: rows beside the window, asked only where the window itself has no witness.
    """

    def __init__(
        self,
        reading: Reading,
        rules: DeletionRules,
        zone: tzinfo,
        *,
        sight: Callable[[], Visibility],
        neighbours: Callable[[], EntryRows],
    ) -> None:
        self._reading = reading
        self._rules = rules
        self._zone = zone
        self._sight = sight
        self._neighbours = neighbours
        self.unverified: dict[str, tuple[int, ...]] = {}

    def sift(self, missing: Missing) -> tuple[EntryRows, bool]:
        """Return the candidates that are worth a hearing, and whether they are too many; notes why the others are not.

        Asks nothing but what the token may see.
        """
        known = {id_ for ids in self.unverified.values() for id_ in ids}
        left = missing.candidates.where(~missing.candidates.among(known))
        if not len(left):
            return left, False
        left = self._set_aside(left, deletion_policy.beyond_sight(left, self._sight(), missing.clock.date))
        whole = deletion_policy.whole_users(
            left, missing.rows.where(~missing.rows.among(missing.candidates.ids)), self._rules
        )
        left = self._set_aside(left, {deletion_policy.WHOLE_USER: whole})
        if self._rules.refuses(len(left), len(missing.rows)):
            self._note(deletion_policy.NEEDS_APPROVAL, left.ids.tolist())
            return left, True
        return left, False

    def hear(self, candidates: EntryRows, missing: Missing) -> None:
        """Ask for candidates beside witnesses, and mark as absent what is believed to be gone."""
        left = candidates
        while len(left):
            takes_ids = self._reading.cursor.takes_ids is not False
            for hearing in self._hearings(left, missing, takes_ids):
                if not self._hear_one(hearing, by_ids=takes_ids):
                    # The filter does not work here: what is left is read by days.
                    break
                left = left.where(~left.among(hearing.candidates.ids))
            else:
                return

    def _hearings(self, candidates: EntryRows, missing: Missing, by_ids: bool) -> Iterator[DeletionProbe]:
        # Compared by sums they were not shown one by one, but no sum would be right without them.
        present = missing.rows.where(~missing.rows.among(missing.candidates.ids))
        others = present if len(present) else self._neighbours()
        reading = self._reading
        court = build_court(present, others, self._zone, reading.page_size, reading.span_days)
        if by_ids:
            return court.hear_by_ids(candidates)
        rows = missing.rows.where(np.isin(missing.rows.users, candidates.users))
        count: dict[date, int] = {}
        for start in rows.starts.tolist():
            day = day_of(start, self._zone)
            count[day] = count.get(day, 0) + 1
        days = sorted({day_of(start, self._zone) for start in candidates.starts.tolist()})
        return court.hear_by_days(candidates, join_days(days, count, reading.page_size))

    def _hear_one(self, hearing: DeletionProbe, *, by_ids: bool) -> bool:
        """Ask one question and judge by its answer; False where the answer is to another question."""
        candidates = hearing.candidates
        filters: dict[str, Any] = {}
        if by_ids:
            # From the newest back: an answer that is cut lacks others than the one that made these candidates.
            filters = {"time_entry_ids": hearing.ids, "order_dir": "DESC"}
        if hearing.users:
            filters = {"user_ids": hearing.users}
        try:
            heard = self._reading.read(hearing.window, filters)
        except MalformedAnswer as error:
            log.warning("%s", error)
            self._note(deletion_policy.INCOMPLETE_ANSWER, candidates.ids.tolist())
            return True
        if heard.foreign and not heard.complete:
            return False
        missing = candidates.where(~candidates.among(heard.ids))
        if not len(missing):
            return True
        if not heard.complete:
            self._note(deletion_policy.INCOMPLETE_ANSWER, missing.ids.tolist())
            return True
        testimony = self._reading.testify(heard, is_sound=hearing.is_satisfied(heard.ids))
        believed = self._set_aside(missing, deletion_policy.judge(missing, testimony, self._sight(), self._rules))
        if len(believed):
            log.info("Gone in Toggl, and marked so: %s.", list_ids(believed.ids.tolist()))
            self._reading.land_absences(believed.ids.tolist(), testimony.spoken_for)
        return True

    def _set_aside(self, rows: EntryRows, masks: dict[str, Bools]) -> EntryRows:
        for reason, ids in deletion_policy.by_reason(masks, rows).items():
            self._note(reason, ids)
        aside = np.any(np.stack(list(masks.values())), axis=0) if masks else np.zeros(len(rows), np.bool_)
        return rows.where(~aside)

    def _note(self, reason: str, ids: Sequence[int]) -> None:
        if ids:
            self.unverified[reason] = tuple(sorted({*self.unverified.get(reason, ()), *ids}))
            log.warning("%d missing in reports and kept: %s (%s).", len(ids), reason, list_ids(ids))
