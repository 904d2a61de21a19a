"""Plan the probes that confirm deletions: which entries to ask for, and which control entries beside them. Pure.

A control entry exists for certain, because a report has just shown it. An answer that lacks a control entry is no
evidence: it may come from an old replica, may be cut, or may hide a user's entries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, tzinfo

import numpy as np

from airflow_provider_toggl.core.extract.summaries import Int64s
from airflow_provider_toggl.core.extract.windows import DAY, Window
from airflow_provider_toggl.core.reconcile.compare import EntryRows, day_of, midnight, to_micros


@dataclass(frozen=True)
class DeletionProbe:
    """One request that is to confirm deletions.

    :param window: the days to ask for, with a day on each side so that no zone can put an entry outside.
    :param candidates: the missing entries.
    :param controls: ids that the answer must show; reports have just shown these entries.
    :param extras: ids that make the answer credible if it shows one: the warehouse has these entries as live.
    :param users: whose entries to ask for, where reports ignore the filter by ids; empty means everybody's.
    """

    window: Window
    candidates: EntryRows
    controls: tuple[int, ...] = ()
    extras: tuple[int, ...] = ()
    users: tuple[int, ...] = ()

    @property
    def ids(self) -> list[int]:
        """All ids to ask for."""
        return sorted({*self.candidates.ids.tolist(), *self.controls, *self.extras})

    def is_answered_by(self, shown: Int64s) -> bool:
        """Whether an answer shows all control entries, and at least one entry that is no candidate."""
        found = set(shown.tolist())
        return set(self.controls) <= found and bool(self.controls or found & set(self.extras))


@dataclass(frozen=True)
class ProbePlanner:
    """Plans probes. Both kinds of rows are in order of their starts, see :func:`build_planner`.

    :param present: rows that a report has just shown.
    :param live: rows that the warehouse has as live, on other days too.
    :param page_size: ids of a request at most.
    :param span_days: days of a request at most.
    """

    present: EntryRows
    live: EntryRows
    zone: tzinfo
    page_size: int
    span_days: int

    def probes_by_ids(self, candidates: EntryRows) -> Iterator[DeletionProbe]:
        """Yield probes that ask for ids, each with as many candidates as a page and a report's span hold."""
        candidates = candidates.where(np.argsort(candidates.starts, kind="stable"))
        days = self._days(candidates)
        users = len(set(candidates.users.tolist()))
        # At most half of a page is for control entries, so that candidates have room.
        room = max(1, self.page_size - min(self.page_size // 2, 2 * users + 8))
        begin = 0
        for end in range(1, len(days) + 1):
            if end == len(days) or end - begin >= room or (days[end] - days[begin]).days + 3 > self.span_days:
                yield self.probe_around(candidates.where(np.arange(begin, end)), self.page_size - (end - begin))
                begin = end

    def probes_by_days(self, candidates: EntryRows, windows: Iterable[Window]) -> Iterator[DeletionProbe]:
        """Yield probes that ask for everything that the candidates' users have on these days."""
        days = np.array(self._days(candidates))
        for window in windows:
            chunk = candidates.where((days >= window.first) & (days <= window.last))
            present, live = (rows.where(np.isin(rows.users, chunk.users)) for rows in (self.present, self.live))
            users = tuple(sorted(set(chunk.users.tolist())))
            if not len(live):
                # None of these users has another entry to serve as a control.
                present, live, users = self.present, self.live, ()
            own = replace(self, present=present, live=live)
            yield replace(own.probe_around(chunk, 2 * self.page_size), users=users)

    def probe_around(self, candidates: EntryRows, room: int) -> DeletionProbe:
        """Return the probe of some candidates, with the nearest control entries around them."""
        days = self._days(candidates)
        window = Window(min(days) - DAY, max(days) + DAY)
        for rows in (self.present, self.live):
            # The window reaches to an entry before all candidates and to one after, as far as the span allows.
            around = (
                rows.starts[rows.starts <= candidates.starts.min()][-1:],
                rows.starts[rows.starts >= candidates.starts.max()][:1],
            )
            for start in np.concatenate(around).tolist():
                day = day_of(start, self.zone)
                wider = Window(min(window.first, day - DAY), max(window.last, day + DAY))
                window = wider if wider.days <= self.span_days else window
        controls = choose_controls(candidates, self._inside(self.present, window), room)
        extras = choose_controls(candidates, self._inside(self.live, window), room - len(controls))
        return DeletionProbe(window, candidates, controls, tuple(id_ for id_ in extras if id_ not in controls))

    def _days(self, rows: EntryRows) -> list[date]:
        return [day_of(start, self.zone) for start in rows.starts.tolist()]

    def _inside(self, rows: EntryRows, window: Window) -> EntryRows:
        begin, end = (to_micros(midnight(day, self.zone)) for day in (window.first, window.last + DAY))
        return rows.where((rows.starts >= begin) & (rows.starts < end))


def build_planner(present: EntryRows, live: EntryRows, zone: tzinfo, page_size: int, span_days: int) -> ProbePlanner:
    """Return a planner of rows in any order."""
    ordered = [rows.where(np.argsort(rows.starts, kind="stable")) for rows in (present, live)]
    return ProbePlanner(ordered[0], ordered[1], zone, page_size, span_days)


def choose_controls(candidates: EntryRows, rows: EntryRows, room: int) -> tuple[int, ...]:
    """Return the ids of control entries for some candidates, the most useful ones first.

    These are: the entry that changed last (the report is not older than that), one that starts no later than all
    candidates (the plan does not hide these days), one that starts no earlier (the answer is not cut at its end), and
    one of each candidate's user (nobody's entries are hidden).

    :param rows: rows to choose from, in order of their starts.
    :param room: how many ids at most.
    """
    if not len(rows):
        return ()
    chosen = [
        *rows.ids[np.argmax(rows.updated)][None].tolist(),
        *rows.ids[rows.starts <= candidates.starts.min()][-1:].tolist(),
        *rows.ids[rows.starts >= candidates.starts.max()][:1].tolist(),
    ]
    newest_first = np.argsort(-rows.updated, kind="stable")
    users, places = np.unique(rows.users[newest_first], return_index=True)
    of_user = dict(zip(users.tolist(), rows.ids[newest_first][places].tolist(), strict=True))
    counts = Counter(candidates.users.tolist())
    chosen += [of_user[user] for user, _ in counts.most_common() if user in of_user]
    return tuple(dict.fromkeys(chosen))[:room]
