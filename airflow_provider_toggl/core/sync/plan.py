"""What a first load will cost and when it would end, found out for a few requests before it is begun."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_toggl.core.client.limits import quota
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.clock import Clock, SystemClock, utc
from airflow_provider_toggl.core.errors import QuotaExhausted
from airflow_provider_toggl.core.extract import cursor as cursors
from airflow_provider_toggl.core.extract import windows
from airflow_provider_toggl.core.extract.cursor import EntriesCursor
from airflow_provider_toggl.core.extract.windows import Window
from airflow_provider_toggl.core.streams import STREAMS, Stream
from airflow_provider_toggl.core.sync.entry_counts import EntriesCounter
from airflow_provider_toggl.core.wording import plural

if TYPE_CHECKING:
    from airflow_provider_toggl.core.load.target import Target

log = logging.getLogger(__name__)

#: What comparing a year with the warehouse takes: its totals, its ids, and a page of what differs.
RECONCILING_A_YEAR = 3
#: Days so few that counting them would cost what reading them does.
FEW_DAYS = 7


@dataclass(frozen=True)
class PlannedDays:
    """Neighbouring days that are still to be read.

    :param rows: entries that are left in them.
    :param exact: whether they were counted; otherwise they are estimated.
    :param requests: pages that they take.
    """

    first: date
    last: date
    rows: int
    exact: bool
    requests: int


@dataclass(frozen=True)
class StreamCost:
    """Requests of a stream's first load.

    :param exact: False: it takes at least these.
    """

    requests: int
    exact: bool


@dataclass(frozen=True)
class LoadPlan:
    """What is still to be loaded of a workspace, and what that takes.

    :param parts: the days of time entries that are still to be read, newest first.
    :param streams: what each stream takes.
    :param page_size: entries that Toggl gives in a page.
    :param asked: requests that this plan took.
    :param lane: whose quota it is charged to.
    :param total: requests that a window of the lane has, None where Toggl does not tell.
    :param reserve: of these, kept back for people.
    :param by_others: of these, used in this window by what does not run on this host.
    :param spare: left to spend now.
    :param hours: by plan, hours that the load would take with nobody else using the quota.
    :param hours_here: hours that it would take on this connection.
    :param ends_at: when it would end if begun now, in UTC.
    :param each_run: what an incremental run of all streams takes when little has changed.
    :param each_reconciliation: what comparing all years with the warehouse takes.
    """

    workspace_id: int
    parts: tuple[PlannedDays, ...]
    streams: dict[str, StreamCost]
    page_size: int
    asked: int
    lane: str
    total: int | None
    reserve: int
    by_others: int
    spare: int | None
    hours: dict[str, float]
    hours_here: float
    ends_at: datetime
    each_run: int
    each_reconciliation: int

    @property
    def rows(self) -> int:
        """Time entries that are still to be read."""
        return sum(part.rows for part in self.parts)

    @property
    def exact(self) -> bool:
        """Whether they were counted and not estimated."""
        return all(part.exact for part in self.parts)

    @property
    def requests(self) -> int:
        """Requests of all streams."""
        return sum(cost.requests for cost in self.streams.values())

    @property
    def an_hour(self) -> int | None:
        """Requests that an hour has to spare, None where Toggl does not tell."""
        return None if self.total is None else max(1, self.total - self.reserve - self.by_others)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        parts = [{**asdict(part), "first": str(part.first), "last": str(part.last)} for part in self.parts]
        derived = {"rows": self.rows, "exact": self.exact, "requests": self.requests, "an_hour": self.an_hour}
        return {**asdict(self), **derived, "parts": parts, "ends_at": self.ends_at.isoformat().replace("+00:00", "Z")}


@dataclass
class CountingProgress:
    """How far a plan is, for who has to stop in the middle.

    :param requests: sent so far.
    :param rows: entries counted so far.
    :param since: the first day of those that are counted; None before any is.
    """

    requests: int = 0
    rows: int = 0
    since: date | None = None


def announce_plan(session: TogglSession, workspace_id: int, since: str | date | datetime | None, now: datetime) -> str:
    """Return what a plan costs and what the quota has left, in a sentence; it asks nothing.

    :param now: aware.
    :raises ConfigurationError: ``since`` is no day.
    """
    if since is None:
        cost = "a request for each year of the history and about 4 more"
    else:
        today = now.date()
        years = windows.history(windows.parse_day(since, "since", today), today)
        cost = f"about {plural(len(years) + 3, 'request')}"
    path = f"/api/v9/workspaces/{workspace_id}"
    left = session.estimate(1, path).spare
    available = "" if left is None else f"; {max(0, left)} available for {session.lane_of(path)}"
    return f"The plan itself costs {cost}{available}."


def build_plan(
    session: TogglSession,
    workspace_id: int,
    *,
    since: str | date | datetime | None = None,
    target: Target | None = None,
    page_size: int = 1000,
    windows_per_run: int = 3,
    clock: Clock | None = None,
    counted: CountingProgress | None = None,
) -> LoadPlan:
    """Return the plan of a workspace's first load.

    Takes a request for each year and three more at most, one more for each year where Toggl's summaries give no ids,
    one to learn the organization where the token has several, and one of the user's lane.

    :param since: first day of the history; without it that ends at the first year that has no entries.
    :param target: what it has landed already is not planned again.
    :param counted: is kept up to date meanwhile.
    :raises ApiError: Toggl does not answer; nothing was landed or changed.
    """
    clock = clock or SystemClock()
    asked, now = session.spent, clock.now()
    beginning = None if since is None else windows.parse_day(since, "since", utc(now).date())
    _learn_quota(session, workspace_id)
    state = target.find_state("time_entries", str(workspace_id)) if target else None
    cursor = cursors.load_entries(state.cursor if state else None)
    counter = EntriesCounter(session, workspace_id, page_size)
    counted = counted or CountingProgress()
    years = _Years(counter, cursor, utc(now).date(), counted)
    parts = years.parts(beginning)
    streams = _list_costs(session, workspace_id, target, years.projects)
    streams = {"time_entries": StreamCost(sum(part.requests for part in parts), all(p.exact for p in parts)), **streams}
    requests = sum(cost.requests for cost in streams.values())
    window = _Window(session, f"/api/v9/workspaces/{workspace_id}", clock.now())
    here = window.seconds(requests)
    return LoadPlan(
        workspace_id=workspace_id,
        parts=tuple(parts),
        streams=streams,
        page_size=counter.page_size,
        asked=session.spent - asked,
        lane=window.name,
        total=window.lane.total,
        reserve=session.reserve,
        by_others=window.by_others,
        spare=window.spare,
        hours={
            name: round(window.seconds_on(size, requests) / 3600, 2) for name, size in quota.PUBLISHED_QUOTAS.items()
        },
        hours_here=round(here / 3600, 2),
        ends_at=utc(window.now + here),
        each_run=min(years.number, windows_per_run) + sum(_pages_again(name, target) for name in STREAMS),
        each_reconciliation=RECONCILING_A_YEAR * years.number,
    )


class _Window:
    """The quota's window as it is now, and what requests take in it and the next ones."""

    def __init__(self, session: TogglSession, path: str, now: float) -> None:
        self._session = session
        self.now = now
        self.name = session.lane_of(path)
        self.lane = session.lane(path)
        total, left = self.lane.total, self.lane.remaining
        known = total is not None and left is not None
        self.by_others = max(0, (total or 0) - (left or 0) - session.taken(path)) if known else 0

    @property
    def spare(self) -> int | None:
        """Requests that are left to spend, None where Toggl does not tell."""
        left = quota.spare(self.lane, 0, self._session.reserve)
        return None if left is None else max(0, left)

    def seconds(self, requests: int) -> float:
        """Return how long requests take if others go on as in this window."""
        return self._take(requests, self.lane, self.by_others)

    def seconds_on(self, total: int, requests: int) -> float:
        """Return how long they take where a window has so many, and nobody else uses it."""
        return self._take(requests, quota.Lane(total, total), 0)

    def _take(self, requests: int, lane: quota.Lane, others: int) -> float:
        reserve, interval = self._session.reserve, self._session.pace.interval
        found = quota.estimate(requests, lane, reserve=reserve, interval=interval, now=self.now, others=others)
        return found.seconds


def _learn_quota(session: TogglSession, workspace_id: int) -> None:
    """Ask how many requests a window has, which headers do not tell, and which organization's it is."""
    try:
        lanes = session.read_quota()
    except QuotaExhausted as error:
        log.info("%s What a window has is taken from what was told before.", error)
        return
    organizations = [int(name.partition(":")[2]) for name in lanes if name != quota.USER_LANE]
    if session.knows_organization(workspace_id):
        return
    if len(organizations) == 1:
        session.learn_organization(workspace_id, organizations[0])
    else:
        session.organization_of(workspace_id)


class _Years:
    """Goes through a history year by year, newest first, and counts what is not read of each."""

    def __init__(self, counter: EntriesCounter, cursor: EntriesCursor, today: date, counted: CountingProgress) -> None:
        self._counted = counted
        self._counter = counter
        self._cursor = cursor
        self._today = today
        self.number = 0
        self.projects: set[int] = set()

    def parts(self, since: date | None) -> list[PlannedDays]:
        """Return what is to be read, back to a day, or to the first year that has nothing."""
        known = self._cursor.beginning
        beginning = since if known is None or (since is not None and since < known) else known
        ahead = windows.ahead(self._today, self._cursor.span_days)
        found = [self._part(gap) for gap in windows.gaps(self._cursor.coverage, ahead)]
        for year in windows.history(beginning or windows.EARLIEST, self._today, self._cursor.span_days):
            gaps = windows.gaps(self._cursor.coverage, year)
            parts = [self._part(gap) for gap in gaps]
            found += parts
            self.number += 1
            if beginning is None and gaps == [year] and not parts[0].rows:
                # Read as the year that shows that there is nothing before.
                self.number -= 1
                break
        return found

    def _part(self, gap: Window) -> PlannedDays:
        if gap.days <= FEW_DAYS:
            return PlannedDays(gap.first, gap.last, 0, False, 1)
        count = self._counter.count(gap)
        self.projects |= count.projects
        self._counted.rows += count.rows
        self._counted.since = min(gap.first, self._counted.since or gap.first)
        opened = self._cursor.open
        read = opened.next_row - 1 if opened is not None and opened.window == gap else 0
        rows = max(0, count.rows - read)
        return PlannedDays(gap.first, gap.last, rows, count.exact, max(1, -(-rows // self._counter.page_size)))


def _list_costs(
    session: TogglSession, workspace_id: int, target: Target | None, projects: set[int]
) -> dict[str, StreamCost]:
    """Return what the lists take: one request those without pages, the others by what is known of their rows."""
    costs: dict[str, StreamCost] = {}
    for name, stream in STREAMS.items():
        if stream.listing == "report":
            continue
        state = target.find_state(name, str(workspace_id)) if target else None
        if state is not None and state.watermark is not None:
            costs[name] = StreamCost(0, True)
        elif not stream.per_page:
            asks_first = "{organization_id}" in stream.path and not session.knows_organization(workspace_id)
            costs[name] = StreamCost(2 if asks_first else 1, True)
        else:
            costs[name] = StreamCost(_pages(stream, len(projects) if name == "projects" else 0), False)
    return costs


def _pages(stream: Stream, rows: int) -> int:
    """Return the requests of a list in pages; one more asks whether it changed while several were read."""
    pages = max(1, -(-rows // stream.per_page))
    return pages + (1 if pages > 1 and stream.listing == "since" else 0)


def _pages_again(name: str, target: Target | None) -> int:
    """Return what a list takes when little has changed; time entries are counted by their years."""
    stream = STREAMS[name]
    if stream.listing == "report":
        return 0
    rows = target.counts()[name] if target is not None and stream.listing == "paged" else 0
    return max(1, -(-rows // stream.per_page)) if stream.per_page else 1


def format_hours(hours: float) -> str:
    """Return a time as people say it: minutes, hours, or days."""
    length = timedelta(hours=hours)
    if length < timedelta(minutes=90):
        return f"{max(1, round(length / timedelta(minutes=1)))} min"
    return f"{hours:.1f} h" if hours < 10 else f"{hours:.0f} h" if hours < 72 else f"{hours / 24:.1f} days"
