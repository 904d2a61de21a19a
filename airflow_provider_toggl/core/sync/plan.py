"""Plan a first load: how many requests it takes and when it ends, found out with a few requests."""

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
from airflow_provider_toggl.core.extract.cursor import EntriesCursor, ListCursor
from airflow_provider_toggl.core.extract.windows import Window
from airflow_provider_toggl.core.instants import rfc3339
from airflow_provider_toggl.core.streams import STREAMS, Stream
from airflow_provider_toggl.core.sync.entry_counts import EntriesCounter
from airflow_provider_toggl.core.wording import plural

if TYPE_CHECKING:
    from airflow_provider_toggl.core.load.warehouse import Warehouse

log = logging.getLogger(__name__)

#: Requests to reconcile a year.
REQUESTS_TO_RECONCILE_A_YEAR = 3
#: So few days that counting them would take as many requests as reading them.
FEW_DAYS = 7


@dataclass(frozen=True)
class PlannedDays:
    """Adjacent days that are still to be read.

    :param rows: entries of these days that are not loaded yet.
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

    :param exact: False where it may take a few more.
    """

    requests: int
    exact: bool


@dataclass(frozen=True)
class LoadPlan:
    """What is still to be loaded of a workspace, and how many requests and hours that takes.

    :param parts: the days of time entries that are still to be read, newest first.
    :param streams: the requests of each stream.
    :param page_size: entries of a page, as Toggl gives them.
    :param asked: requests that this plan took.
    :param lane: the lane whose quota the requests count against.
    :param total: requests of a quota window; None where Toggl does not say.
    :param reserve: requests of each window that are reserved for people.
    :param by_others: requests of this window that other hosts and tools used.
    :param spare: requests that are available now.
    :param hours: hours that the load takes on each of Toggl's plans, if nobody else uses the quota.
    :param hours_here: hours that it takes on this connection.
    :param ends_at: when it ends if it begins now, in UTC.
    :param each_run: requests of an incremental run of all streams, when little has changed.
    :param each_reconciliation: requests of a reconciliation of all years.
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
        """Requests that are available in an hour; None where Toggl does not say."""
        return None if self.total is None else max(1, self.total - self.reserve - self.by_others)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        parts = [{**asdict(part), "first": str(part.first), "last": str(part.last)} for part in self.parts]
        derived = {"rows": self.rows, "exact": self.exact, "requests": self.requests, "an_hour": self.an_hour}
        return {**asdict(self), **derived, "parts": parts, "ends_at": rfc3339(self.ends_at)}


@dataclass
class CountingProgress:
    """How far the counting for a plan is, also when it has to stop.

    :param requests: sent so far.
    :param rows: entries counted so far.
    :param since: the first day that is counted; None before any.
    """

    requests: int = 0
    rows: int = 0
    since: date | None = None


def announce_plan(session: TogglSession, workspace_id: int, since: str | date | datetime | None, now: datetime) -> str:
    """Return a sentence on how many requests a plan takes and how many are available. It sends no request.

    :param now: aware.
    :raises ConfigurationError: ``since`` is no day.
    """
    if since is None:
        cost = "one request for each year of the history and about 4 more"
    else:
        today = now.date()
        years = windows.history(windows.parse_day(since, "since", today), today)
        cost = f"about {plural(len(years) + 3, 'request')}"
    path = f"/api/v9/workspaces/{workspace_id}"
    left = session.estimate(1, path).spare
    available = "" if left is None else f"; {max(0, left)} available for {session.lane_of(path)}"
    return f"This plan takes {cost}{available}."


def build_plan(
    session: TogglSession,
    workspace_id: int,
    *,
    since: str | date | datetime | None = None,
    target: Warehouse | None = None,
    page_size: int = 1000,
    windows_per_run: int = 3,
    clock: Clock | None = None,
    counted: CountingProgress | None = None,
) -> LoadPlan:
    """Return the plan of a workspace's first load.

    It takes a request for each year and at most three more, one more for each year where Toggl's summaries have no ids,
    one to find the organization where the token has several, and one of the user's lane.

    :param since: first day of the history; without it, the history ends at the first year without entries.
    :param target: the warehouse; what is loaded there is not planned again.
    :param counted: is updated meanwhile.
    :raises ApiError: Toggl did not answer; nothing was loaded or changed.
    """
    clock = clock or SystemClock()
    asked, now = session.spent, clock.now()
    beginning = None if since is None else windows.parse_day(since, "since", utc(now).date())
    _learn_quota(session, workspace_id)
    state = target.find_state("time_entries", str(workspace_id)) if target else None
    cursor = cursors.load(state.cursor if state else None, EntriesCursor)
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
        hours={name: round(window.seconds(requests, n) / 3600, 2) for name, n in quota.PUBLISHED_QUOTAS.items()},
        hours_here=round(here / 3600, 2),
        ends_at=utc(window.now + here),
        each_run=min(years.number, windows_per_run) + sum(_pages_again(name, target) for name in STREAMS),
        each_reconciliation=REQUESTS_TO_RECONCILE_A_YEAR * years.number,
    )


class _Window:
    """The current quota window, and how long requests take in it and in later ones."""

    def __init__(self, session: TogglSession, path: str, now: float) -> None:
        self._session = session
        self.now = now
        self.name = session.lane_of(path)
        self.lane = session.lane(path)
        total, left = self.lane.total, self.lane.remaining
        known = total is not None and left is not None
        self.by_others = max(0, (total or 0) - (left or 0) - session.taken(path)) if known else 0

        left = quota.spare(self.lane, 0, session.reserve)
        self.spare = None if left is None else max(0, left)

    def seconds(self, requests: int, total: int | None = None) -> float:
        """Return how many seconds requests take.

        :param total: in windows of this size that nobody else uses; None means in this and later windows, of which
            others go on using as much as of this one.
        """
        lane, others = (self.lane, self.by_others) if total is None else (quota.Lane(total, total), 0)
        reserve, interval = self._session.reserve, self._session.pace.interval
        found = quota.estimate(requests, lane, reserve=reserve, interval=interval, now=self.now, others=others)
        return found.seconds


def _learn_quota(session: TogglSession, workspace_id: int) -> None:
    """Find out how many requests a window has, which no header says, and which organization it belongs to."""
    try:
        lanes = session.read_quota()
    except QuotaExhausted as error:
        log.info("%s The last known size of the quota window is used.", error)
        return
    organizations = [int(name.partition(":")[2]) for name in lanes if name != quota.USER_LANE]
    if session.knows_organization(workspace_id):
        return
    if len(organizations) == 1:
        session.learn_organization(workspace_id, organizations[0])
    else:
        session.organization_of(workspace_id)


class _Years:
    """Counts the entries of each year that are not read yet, newest year first."""

    def __init__(self, counter: EntriesCounter, cursor: EntriesCursor, today: date, counted: CountingProgress) -> None:
        self._counted = counted
        self._counter = counter
        self._cursor = cursor
        self._today = today
        self.number = 0
        self.projects: set[int] = set()

    def parts(self, since: date | None) -> list[PlannedDays]:
        """Return the days to read, back to a day, or to the first year without entries."""
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
                # This year is read only to find out where the history begins.
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
    session: TogglSession, workspace_id: int, target: Warehouse | None, projects: set[int]
) -> dict[str, StreamCost]:
    """Return the requests of each list: one without pages, else as many as its known rows need."""
    costs: dict[str, StreamCost] = {}
    knows_organization = session.knows_organization(workspace_id)
    for name, stream in STREAMS.items():
        if stream.listing == "report":
            continue
        state = target.find_state(name, str(workspace_id)) if target else None
        is_skipped = state is not None and bool(cursors.load(state.cursor, ListCursor).skipped)
        if is_skipped or (state is not None and state.watermark is not None):
            costs[name] = StreamCost(0, True)
            continue
        if stream.listing == "histories":
            # One for each object whose rate was ever set, which no list counts.
            costs[name] = StreamCost(0, False)
            continue
        # The first of these streams asks which organization the workspace is of.
        asks_first = "{organization_id}" in stream.path and not knows_organization
        knows_organization = knows_organization or asks_first
        pages = _pages(stream, len(projects) if name == "projects" else 0) if stream.per_page else 1
        # A log takes more where the plan has it: one for each month.
        costs[name] = StreamCost(pages + asks_first, not stream.per_page and stream.listing != "log")
    return costs


def _pages(stream: Stream, rows: int) -> int:
    """Return the requests of a list; one more finds out whether it changed while several pages were read."""
    pages = max(1, -(-rows // stream.per_page))
    return pages + (1 if pages > 1 and stream.listing == "since" else 0)


def _pages_again(name: str, target: Warehouse | None) -> int:
    """Return the requests of a list when little has changed; 0 for those that are not lists."""
    stream = STREAMS[name]
    if stream.listing in ("report", "histories"):
        return 0
    rows = target.counts()[name] if target is not None and stream.listing == "paged" else 0
    return max(1, -(-rows // stream.per_page)) if stream.per_page else 1


def format_hours(hours: float) -> str:
    """Return a time in minutes, hours or days."""
    length = timedelta(hours=hours)
    if length < timedelta(minutes=90):
        return f"{max(1, round(length / timedelta(minutes=1)))} min"
    return f"{hours:.1f} h" if hours < 10 else f"{hours:.0f} h" if hours < 72 else f"{hours / 24:.1f} days"
