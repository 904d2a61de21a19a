"""When an entry that a report lacks is believed to be gone, and when not. Pure.

A report may lack entries for other reasons than that they were deleted: the token sees less than it did, the plan shows
only what is new, the answer is short, the report lags. So each absence needs an answer of its own, which was asked for
the missing entries beside witnesses: entries that the report has just shown. Only an answer that shows them is heard.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, tzinfo

import numpy as np

from airflow_provider_toggl.core.extract.summaries import Int64s
from airflow_provider_toggl.core.extract.windows import DAY, Window
from airflow_provider_toggl.core.reconcile.compare import NEVER, Bools, EntryRows, day_of, micros, midnight

# Why an absence is not proved, in the words of logs and results.
NOT_ADMIN = "the token's owner is no administrator, and reports show them their own entries only"
RETENTION = "older than the days that the workspace's plan shows"
CONTROLS_MISSING = "the answer lacked its witnesses, entries that the report had just shown"
BEFORE_FIRST_SHOWN = "before the first entry that Toggl still shows, on a plan that may not show all"
TOO_NEW = "too new: the report may be older than the entry"
SEEN_LATER = "seen after the moment that the report speaks of"
RUNNING = "running, and no report has shown running entries so far"
WHOLE_USER = "all entries of their user are missing at once"
NEEDS_APPROVAL = "an unusual share of the window is missing at once"
INCOMPLETE_ANSWER = "the answer that was to prove it did not come whole"


@dataclass(frozen=True)
class DeletionRules:
    """How careful to be.

    :param settle: an entry that was not changed for so long, by Toggl's clock, shows in reports whatever their lag.
    :param absent_share: more than this share of a window's rows missing at once, and more than ``absent_rows``, is not
        believed.
    :param allow_mass: a person has said that many are really gone.
    """

    settle: timedelta = timedelta(hours=24)
    absent_share: float = 0.2
    absent_rows: int = 20
    allow_mass: bool = False

    def refuses(self, missing: int, live: int) -> bool:
        """Whether so many of a window's rows are missing that it needs a person."""
        return not self.allow_mass and missing > self.absent_rows and missing > self.absent_share * live


@dataclass(frozen=True)
class Visibility:
    """What the token may see.

    :param user_id: its owner, None where not told.
    :param is_admin: whether it sees everybody's entries; False where that is not told.
    :param is_paid: whether the plan is known to show all days.
    :param retention_days: days back that the plan shows, None where there is no limit or none is told.
    """

    user_id: int | None
    is_admin: bool
    is_paid: bool
    retention_days: int | None


def read_sight(workspace: object, me: object) -> Visibility:
    """Return what ``GET /workspaces/{id}`` and ``GET /me`` tell; what they do not tell is taken as less sight."""
    told = workspace if isinstance(workspace, dict) else {}
    owner = me.get("id") if isinstance(me, dict) else None
    days = told.get("max_data_retention_days")
    return Visibility(
        user_id=owner if isinstance(owner, int) else None,
        # admin is deprecated in favour of role; either may be missing.
        is_admin=told.get("admin") is True or told.get("role") == "admin",
        is_paid=told.get("premium") is True or told.get("business_ws") is True,
        retention_days=days if isinstance(days, int) and days > 0 else None,
    )


@dataclass(frozen=True)
class ProbeAnswer:
    """What was heard from the answer that was asked for missing entries and witnesses.

    :param date: of the answer, by Toggl's clock.
    :param spoken_for: the moment that the report speaks of: ``date`` less the lag that is allowed.
    :param is_sound: whether it came whole and shows every witness that it must.
    :param first_start: start of the earliest entry that it shows, None where it shows none.
    :param newest_at: the latest change that any report of this run has shown, None where none was shown.
    :param shows_running: whether reports have ever shown a running entry.
    """

    date: datetime
    spoken_for: datetime
    is_sound: bool
    first_start: datetime | None
    newest_at: datetime | None
    shows_running: bool


def beyond_sight(candidates: EntryRows, sight: Visibility, now: datetime) -> dict[str, Bools]:
    """Return which candidates the token could not see even if they were there, by reason."""
    foreign = np.zeros(len(candidates), np.bool_)
    if not sight.is_admin:
        foreign = candidates.users != (-1 if sight.user_id is None else sight.user_id)
    old = np.zeros(len(candidates), np.bool_)
    if sight.retention_days is not None:
        # A day more than told: nobody says whether days are counted from midnight, nor in which zone.
        old = candidates.starts < micros(now - (sight.retention_days - 1) * DAY)
    return {NOT_ADMIN: foreign, RETENTION: old & ~foreign}


def whole_users(candidates: EntryRows, present: EntryRows, rules: DeletionRules) -> Bools:
    """Return which candidates are of a user who has lost many entries and has none left."""
    if rules.allow_mass:
        return np.zeros(len(candidates), np.bool_)
    left = set(present.users.tolist())
    counts = Counter(candidates.users.tolist())
    lost = [user for user, count in counts.items() if user not in left and count > rules.absent_rows]
    return np.isin(candidates.users, np.array(lost, np.int64))


def judge(missing: EntryRows, testimony: ProbeAnswer, sight: Visibility, rules: DeletionRules) -> dict[str, Bools]:
    """Return which missing rows are not believed to be gone, by reason; the others are.

    :param missing: the candidates that the answer did not show.
    """
    unverified: dict[str, Bools] = {}
    open_ = np.ones(len(missing), np.bool_)

    def set_aside(reason: str, mask: Bools) -> None:
        nonlocal open_
        unverified[reason] = mask & open_
        open_ = open_ & ~mask

    if not testimony.is_sound:
        set_aside(CONTROLS_MISSING, open_)
    # It is kept as absent at that moment, so what was seen later would stay all the same.
    set_aside(SEEN_LATER, missing.seen > micros(testimony.spoken_for))
    newest = NEVER if testimony.newest_at is None else micros(testimony.newest_at)
    set_aside(TOO_NEW, (missing.updated > newest) & (missing.updated > micros(testimony.date - rules.settle)))
    if not testimony.shows_running:
        set_aside(RUNNING, missing.running)
    if not (sight.is_paid or rules.allow_mass):
        first = testimony.first_start
        unwitnessed = np.ones(len(missing), np.bool_) if first is None else missing.starts < micros(first)
        set_aside(BEFORE_FIRST_SHOWN, unwitnessed)
    return {reason: mask for reason, mask in unverified.items() if mask.any()}


@dataclass(frozen=True)
class DeletionProbe:
    """One request that is to prove absences.

    :param window: the days to ask for, padded so that no zone can put an entry outside.
    :param candidates: what is missing.
    :param witnesses: ids that the answer must show: by what reports have just told they are there.
    :param users: whose entries to ask for, where ids are no filter; everybody's where it is empty.
    :param others: ids that may prove more if they are shown: the warehouse holds them for live.
    """

    window: Window
    candidates: EntryRows
    witnesses: tuple[int, ...] = ()
    others: tuple[int, ...] = ()
    users: tuple[int, ...] = ()

    @property
    def ids(self) -> list[int]:
        """All ids to ask for."""
        return sorted({*self.candidates.ids.tolist(), *self.witnesses, *self.others})

    def is_satisfied(self, shown: Int64s) -> bool:
        """Whether an answer shows who must be there, and somebody else than who is missing at all."""
        found = set(shown.tolist())
        return set(self.witnesses) <= found and bool(self.witnesses or found & set(self.others))


@dataclass(frozen=True)
class ProbePlanner:
    """Plans the requests that prove absences.

    :param present: rows that are there, by what reports have just told.
    :param live: rows that the warehouse holds for live, of other days too.
    :param page_size: ids of a request at most.
    :param span_days: days of a request at most.
    """

    present: EntryRows
    live: EntryRows
    zone: tzinfo
    page_size: int
    span_days: int

    def hear_by_ids(self, candidates: EntryRows) -> Iterator[DeletionProbe]:
        """Yield hearings that ask for ids, as many as a page and a range hold."""
        candidates = candidates.where(np.argsort(candidates.starts, kind="stable"))
        days = self._days(candidates)
        users = len(set(candidates.users.tolist()))
        # At most half of a page is for witnesses, or there would be no room for what is asked about.
        room = max(1, self.page_size - min(self.page_size // 2, 2 * users + 8))
        begin = 0
        for end in range(1, len(days) + 1):
            if end == len(days) or end - begin >= room or (days[end] - days[begin]).days + 3 > self.span_days:
                yield self.hear_around(candidates.where(np.arange(begin, end)), self.page_size - (end - begin))
                begin = end

    def hear_by_days(self, candidates: EntryRows, windows: Iterable[Window]) -> Iterator[DeletionProbe]:
        """Yield hearings that ask for all that the candidates' users have on these days."""
        days = np.array(self._days(candidates))
        for window in windows:
            chunk = candidates.where((days >= window.first) & (days <= window.last))
            present, live = (rows.where(np.isin(rows.users, chunk.users)) for rows in (self.present, self.live))
            users = tuple(sorted(set(chunk.users.tolist())))
            if not len(live):
                # Nobody of them could be a witness.
                present, live, users = self.present, self.live, ()
            own = replace(self, present=present, live=live)
            yield replace(own.hear_around(chunk, 2 * self.page_size), users=users)

    def hear_around(self, candidates: EntryRows, room: int) -> DeletionProbe:
        """Return the hearing of some candidates with the witnesses that stand nearest around them."""
        days = self._days(candidates)
        window = Window(min(days) - DAY, max(days) + DAY)
        for rows in (self.present, self.live):
            # Who started before them all, and after: the range must reach to both, as far as it may.
            around = (
                rows.starts[rows.starts <= candidates.starts.min()][-1:],
                rows.starts[rows.starts >= candidates.starts.max()][:1],
            )
            for start in np.concatenate(around).tolist():
                day = day_of(start, self.zone)
                wider = Window(min(window.first, day - DAY), max(window.last, day + DAY))
                window = wider if wider.days <= self.span_days else window
        witnesses = choose_witnesses(candidates, self._inside(self.present, window), room)
        others = choose_witnesses(candidates, self._inside(self.live, window), room - len(witnesses))
        return DeletionProbe(window, candidates, witnesses, tuple(id_ for id_ in others if id_ not in witnesses))

    def _days(self, rows: EntryRows) -> list[date]:
        return [day_of(start, self.zone) for start in rows.starts.tolist()]

    def _inside(self, rows: EntryRows, window: Window) -> EntryRows:
        begin, end = (micros(midnight(day, self.zone)) for day in (window.first, window.last + DAY))
        return rows.where((rows.starts >= begin) & (rows.starts < end))


def build_court(present: EntryRows, live: EntryRows, zone: tzinfo, page_size: int, span_days: int) -> ProbePlanner:
    """Return a court whose rows are in order of their starts."""
    ordered = [rows.where(np.argsort(rows.starts, kind="stable")) for rows in (present, live)]
    return ProbePlanner(ordered[0], ordered[1], zone, page_size, span_days)


def choose_witnesses(candidates: EntryRows, rows: EntryRows, room: int) -> tuple[int, ...]:
    """Return entries to ask for beside the candidates: who proves most comes first.

    One that started no later than all of them (the plan's horizon is not between) and one no earlier (the answer is not
    cut at its end), the one that was changed last (the report is not older than them), and one of each of their users
    (nobody's entries are filtered out).

    :param rows: in order of their starts.
    """
    if not len(rows) or room < 1:
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


def by_reason(masks: dict[str, Bools], rows: EntryRows) -> dict[str, Sequence[int]]:
    """Return ids by reason, of masks over rows."""
    return {reason: rows.ids[mask].tolist() for reason, mask in masks.items() if mask.any()}
