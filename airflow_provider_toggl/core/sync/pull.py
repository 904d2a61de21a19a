"""One run of one stream: pages from Toggl, landed one by one, each with the progress that it stands for.

Here, in ``page_landing`` and in ``reconcile`` alone extract and land meet. Whatever stops a run, what was landed
stays, and the next run goes on from the page after it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.client.limits.quota import Estimate
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.clock import Clock, SystemClock
from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.extract import cursor as cursors
from airflow_provider_toggl.core.extract import windows
from airflow_provider_toggl.core.extract.cursor import Attempt, EntriesCursor, ListCursor
from airflow_provider_toggl.core.extract.entries import EntriesOptions, EntriesReader
from airflow_provider_toggl.core.extract.lists import ListOptions, ListReader
from airflow_provider_toggl.core.extract.pages import Page
from airflow_provider_toggl.core.instants import parse_instant
from airflow_provider_toggl.core.load.changes import Changes
from airflow_provider_toggl.core.load.measuring import measure_freshness
from airflow_provider_toggl.core.load.target import Landed, Sweep, Target
from airflow_provider_toggl.core.log_fields import fields, fields_of, log_line
from airflow_provider_toggl.core.streams import check_days, get_stream
from airflow_provider_toggl.core.sync.page_loader import PageLander, log_doubts
from airflow_provider_toggl.core.wording import duration, plural

if TYPE_CHECKING:
    from airflow_provider_toggl.core.load.records import Batch

log = logging.getLogger(__name__)

_Cursor = TypeVar("_Cursor", EntriesCursor, ListCursor)

#: People read progress; more often than this it is noise.
LOG_EVERY = 5.0


@dataclass(frozen=True)
class PullRequest:
    """What to bring, and from when.

    :param since: first day of the history, or of the days to read when ``incremental`` is False. A day is one of the
        token owner's zone.
    :param until: last day to read; only when ``incremental`` is False.
    :param run_started: when the attempt began, by this machine's clock: what was read since then is done. The cursor
        has an earlier start where this is a retry or goes on after a deferral.
    :param incremental: read what changed since the last run; False reads the given days, or the whole list, again.
    :param page_size: entries to ask for in a page.
    :param lag: how long a change may take to show in reports.
    :param windows_per_run: years of history that a run may look through for changes.
    :param absent_share: a complete list that lacks more than this share of the known rows, and more than
        ``absent_rows``, is
        not believed.
    :param attempt_key: what all tries of the task's attempt have in common; empty: what an earlier one has read is
        read again.
    :param try_number: of the task.
    :param is_resumed: the same try goes on after a deferral.
    :param warehouse: connection and schema, as metrics name it.
    """

    stream: str
    workspace_id: int
    run_started: datetime
    since: str | date | datetime | None = None
    until: str | date | datetime | None = None
    incremental: bool = True
    page_size: int = 1000
    lag: timedelta = timedelta(minutes=5)
    windows_per_run: int = 3
    absent_share: float = 0.2
    absent_rows: int = 20
    attempt_key: str = ""
    try_number: int = 1
    is_resumed: bool = False
    warehouse: str = ""

    def __post_init__(self) -> None:
        if self.workspace_id <= 0:
            raise ConfigurationError(f"workspace_id is {self.workspace_id}; it is a positive number.")
        if not 0 < self.page_size <= 10_000:
            raise ConfigurationError(f"page_size is {self.page_size}; it must be from 1 to 10000.")
        if self.windows_per_run < 1 or self.lag < timedelta(0):
            raise ConfigurationError("windows_per_run must be at least 1, and report_lag not negative.")
        check_days(self.stream, self.since, self.until, incremental=self.incremental)

    @property
    def attempt(self) -> Attempt:
        """The attempt that reads, as far as it is known before the cursor is."""
        return Attempt(self.attempt_key, self.try_number, self.run_started)


@dataclass
class Summary:
    """What a run did; all numbers of this run, over its deferrals.

    :param odd_durations: entries whose duration is not from start to stop, or that stop before they start; they are
        landed as Toggl gives them.
    :param requests: requests sent, refused ones included.
    :param quota_left: requests left in the lane as last told, None where Toggl does not tell.
    :param watermark: every change up to then, by Toggl's clock, is landed; None while the first load goes on.
    """

    stream: str
    workspace_id: int
    pages: int = 0
    rows: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    odd_durations: int = 0
    absent: int = 0
    requests: int = 0
    quota_left: int | None = None
    watermark: str | None = None
    deferrals: int = 0
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return it as XCom can hold it."""
        return asdict(self)

    def __str__(self) -> str:
        rows, pages = plural(self.rows, "row"), plural(self.pages, "page")
        parts = [
            f"{self.stream} of workspace {self.workspace_id}: {rows} in {pages}",
            f"{self.inserted:,} new, {self.updated:,} changed, {self.unchanged:,} as before",
        ]
        parts += [f"{self.rejected:,} rejected (see rejected_records)"] if self.rejected else []
        parts += [f"{self.odd_durations:,} with odd durations"] if self.odd_durations else []
        parts += [f"{self.absent:,} gone"] if self.absent else []
        parts.append(
            plural(self.requests, "request") + ("" if self.quota_left is None else f", {self.quota_left} left")
        )
        parts += [f"{plural(self.deferrals, 'wait')} for the quota"] if self.deferrals else []
        parts.append("still on the first load" if self.watermark is None else f"complete up to {self.watermark}")
        return "; ".join(parts) + "."


class Pull:
    """Brings one stream of one workspace into a warehouse.

    :param summary: what earlier parts of the same run did, when it goes on after a deferral.
    """

    def __init__(
        self,
        session: TogglSession,
        target: Target,
        request: PullRequest,
        *,
        summary: Summary | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._session = session
        self._target = target
        self._request = request
        self._clock = clock or SystemClock()
        self._stream = get_stream(request.stream)
        self._only = _only_window(request)
        self._lander = PageLander(target, request.workspace_id, self.scope, self._clock)
        self.summary = summary or Summary(request.stream, request.workspace_id)
        self.changes = Changes()
        self._current: EntriesReader | ListReader | None = None
        self._pace = _Pace()
        # What earlier parts of the run took, less what session and clock showed when this part began.
        self._base = (0, 0.0)
        if self.summary.inserted or self.summary.updated or self.summary.absent:
            # What an earlier part landed is known only by its numbers.
            self.changes.mark(request.workspace_id, request.stream)

    @property
    def scope(self) -> str:
        """What the stream's row in ``sync_state`` is kept under: the workspace, and the days of a fixed range."""
        workspace = str(self._request.workspace_id)
        return workspace if self._only is None else f"{workspace}/{self._only.first}..{self._only.last}"

    def run(self) -> Summary:
        """Read and land until nothing is left to read.

        :raises TogglError: what was landed stays, and :attr:`summary` says how much that is.
        """
        request = self._request
        with fields(connection=self._session.name, workspace_id=request.workspace_id, stream=request.stream, by="pull"):
            return self._run()

    def estimate(self) -> Estimate:
        """Return about what is left to ask of Toggl in this run, and how long that takes.

        It asks nothing. Days that were never read are taken to have as many entries as those read last; how far back a
        history goes is not known before its end.
        """
        reader = self._current
        requests = _requests_left(reader, self._pace) if isinstance(reader, EntriesReader) else self._pace.left
        return self._session.estimate(max(1, requests or 1), self._path())

    def _run(self) -> Summary:
        started = self._clock.now()
        spent = self._session.spent
        self._base = self.summary.requests - spent, self.summary.seconds - started
        self._session.before_wait = self._let_go
        try:
            self._land_all()
        finally:
            self._session.before_wait = None
            self._count_cost()
            self._measure(started, self._session.spent - spent)
            self.summary.quota_left = self._session.quota_left(self._path())
            self._target.release(force=True)
        log_line(log, "%s", self.summary, **fields_of(self.summary))
        return self.summary

    def _count_cost(self) -> None:
        """Bring the requests and the seconds of the summary up to date."""
        requests, seconds = self._base
        self.summary.requests = requests + self._session.spent
        self.summary.seconds = round(seconds + self._clock.now(), 3)

    def _measure(self, started: float, requests: int) -> None:
        request, now = self._request, self._clock.now()
        metrics.RUN_TIME.record(now - started, by="pull", stream=request.stream)
        metrics.RUN_REQUESTS.add(requests, by="pull", stream=request.stream)
        if self._only is None:
            told = self.summary.watermark
            mark = None if told is None else parse_instant(told)
            measure_freshness(
                mark,
                now,
                by="pull",
                stream=request.stream,
                workspace_id=request.workspace_id,
                warehouse=request.warehouse,
            )

    def _land_all(self) -> None:
        state = self._target.find_state(self._stream.name, self.scope)
        watermark = state.watermark if state else None
        self.summary.watermark = _iso(watermark) or self.summary.watermark
        reader = self._current = self._reader(state.cursor if state else None, watermark)
        if isinstance(reader, EntriesReader):
            self._log_plan(reader)
        elif not self._stream.per_page:
            # All of it in one answer; the paths of some need to know the organization first.
            self._session.expect(2 if "{organization_id}" in self._stream.path else 1)
        logged = started = self._clock.now()
        self._target.release()
        for page in reader.pages():
            self._land(page)
            now = self._clock.now()
            if now - logged >= LOG_EVERY or self.summary.pages == 1:
                logged = now
                self._log_progress(page, now - started)
            self._target.release()

    def _reader(self, cursor: str | None, watermark: datetime | None) -> EntriesReader | ListReader:
        return build_reader(self._session, self._request, cursor, watermark, self._clock)

    def _land(self, page: Page) -> None:
        request, summary = self._request, self.summary
        batch = self._lander.decode(page)
        sweep = None
        # A row that could not be read is not known to be on the list, nor to be missing from it.
        if page.complete_at is not None and not summary.rejected and not batch.rejected:
            sweep = Sweep(request.workspace_id, page.complete_at, request.absent_share, request.absent_rows)
        landed = self._lander.land(page, batch, sweep, note_days=True)
        self._note(batch, landed)
        self._pace = self._pace.after(page)
        summary.pages += 1
        summary.rows += page.rows
        summary.inserted += landed.inserted
        summary.updated += landed.updated
        summary.unchanged += landed.unchanged
        summary.rejected += landed.rejected
        summary.odd_durations += batch.odd_durations
        summary.absent += landed.absent
        summary.watermark = _iso(page.watermark) or summary.watermark

    def _note(self, batch: Batch, landed: Landed) -> None:
        if landed.inserted or landed.updated or landed.absent:
            self.changes.mark(self._request.workspace_id, batch.stream)
            self.changes.note([batch])
            self.changes.note_days(landed)

    def _path(self) -> str:
        """A path of the lane that this stream is charged to."""
        return f"/api/v9/workspaces/{self._request.workspace_id}"

    def _let_go(self, seconds: float) -> None:
        """Let others at the warehouse during a wait that is long enough for it."""
        self._target.release(force=seconds > 2.0)

    def _log_plan(self, reader: EntriesReader) -> None:
        due = reader.plan()
        opened = reader.cursor.open
        names = [f"{opened.window} (from row {opened.next_row})"] if opened else []
        names += [str(window) for window in due if opened is None or window != opened.window]
        if not names:
            log.info(
                "%s of workspace %s: nothing left to read in this run.", self._stream.name, self._request.workspace_id
            )
            return
        log.info(
            "%s of workspace %s: %s. At least %s, and one request more for each further %s.",
            self._stream.name,
            self._request.workspace_id,
            ", ".join(names),
            self._session.estimate(len(names), self._path()),
            plural(self._request.page_size, "entry"),
        )

    def _log_progress(self, page: Page, elapsed: float) -> None:
        self._count_cost()
        left = self._session.quota_left(self._path())
        to_go = ""
        if page.share is not None and 0 < page.share < 1:
            to_go = f", {page.share:.0%}, about {duration(elapsed / page.share - elapsed)} to go"
        log_line(
            log,
            "%s, %s: %s in %s%s; %s left.",
            self._stream.name,
            page.where,
            plural(self.summary.rows, "row"),
            plural(self.summary.pages, "page"),
            to_go,
            "unknown requests" if left is None else plural(left, "request"),
            **(fields_of(self.summary) | {"quota_left": left}),
        )


@dataclass(frozen=True)
class _Pace:
    """How fast the pages of a window or list get on, by the share of it that each of them ends at.

    A first page alone says little: a history may begin in the middle of its first year.
    """

    where: str = ""
    first: float = 0.0
    last: float = 0.0
    pages: int = 0

    def after(self, page: Page) -> _Pace:
        if page.share is None or page.share >= 1:
            return _Pace()
        if page.where != self.where:
            return _Pace(page.where, page.share, page.share)
        return replace(self, last=page.share, pages=self.pages + 1)

    @property
    def whole(self) -> float | None:
        """Pages that all of it takes; None while that cannot be said."""
        return self.pages / (self.last - self.first) if self.last > self.first else None

    @property
    def left(self) -> int | None:
        """Pages that are left of it; None while that cannot be said."""
        return None if self.whole is None else max(1, round(self.whole * (1 - self.last)))


def _requests_left(reader: EntriesReader, pace: _Pace) -> int:
    """Return about how many pages a reader will still ask for in this run: one for each window at least."""
    opened, due = reader.cursor.open, reader.plan()
    others = [window for window in due if opened is None or window != opened.window]
    requests = len(others) + (0 if opened is None else pace.left or 1)
    if opened is not None and opened.order == "date" and pace.whole is not None:
        unread = [one for one in others if one.first < opened.first and windows.gaps(reader.cursor.coverage, one)]
        requests += sum(round(one.days * pace.whole / opened.window.days) - 1 for one in unread)
    return requests


def build_reader(
    session: TogglSession, request: PullRequest, cursor: str | None, watermark: datetime | None, clock: Clock
) -> EntriesReader | ListReader:
    """Return what reads a stream from where a cursor says, from the start without one."""
    stream = get_stream(request.stream)
    if stream.listing != "report":
        listed, attempt = _continued(cursors.load_list(cursor), request)
        options = ListOptions(request.workspace_id, attempt.started, request.incremental)
        return ListReader(session, stream, options, listed, watermark=watermark, clock=clock)
    entries, attempt = _continued(cursors.load_entries(cursor), request)
    only = _only_window(request)
    wanted = EntriesOptions(
        workspace_id=request.workspace_id,
        run_started=attempt.started,
        beginning=None if request.since is None or only else windows.parse_day(request.since, "since", _today(request)),
        only=only,
        page_size=request.page_size,
        lag=request.lag,
        windows_per_run=request.windows_per_run,
    )
    return EntriesReader(session, wanted, entries, clock, watermark=watermark)


def _continued(cursor: _Cursor, request: PullRequest) -> tuple[_Cursor, Attempt]:
    """Return a cursor that has the attempt of the request, and that attempt with its start."""
    attempt = request.attempt.continue_from(cursor.attempt, is_resumed=request.is_resumed)
    return replace(cursor, attempt=attempt if attempt.key else None), attempt


def read_pages(session: TogglSession, request: PullRequest) -> Iterator[Page]:
    """Yield the pages of a request from its start, for those who want rows and no warehouse."""
    return build_reader(session, request, None, None, SystemClock()).pages()


def build_batches(pages: Iterator[Page], workspace_id: int) -> Iterator[Batch]:
    """Decode pages as they come, for those who want rows and no warehouse."""
    from airflow_provider_toggl.core.load.records import Observation, decode_page  # noqa: PLC0415 - reading rows needs pyarrow, importing this module must not

    for page in pages:
        batch = decode_page(page.stream, page.body, Observation(workspace_id, page.observed_at))
        log_doubts(batch, page.where)
        yield batch


def _only_window(request: PullRequest) -> windows.Window | None:
    if request.incremental or request.since is None:
        return None
    today = _today(request)
    first = windows.parse_day(request.since, "since", today)
    last = today + windows.DAY if request.until is None else windows.parse_last_day(request.until, "until", today)
    if last < first:
        raise ConfigurationError(f"until ({last}) is before since ({first}).")
    return windows.Window(first, last)


def _today(request: PullRequest) -> date:
    """Return the day that the run started on: a range that ends today stays the same over deferrals and retries."""
    return request.run_started.astimezone(timezone.utc).date()


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
