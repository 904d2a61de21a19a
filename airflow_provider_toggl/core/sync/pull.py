"""Pull one stream of a workspace into a warehouse, page by page.

Each page is loaded in one transaction with its progress. If a run stops for any reason, loaded pages stay, and the next
run goes on with the page after them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.client.limits.quota import Estimate
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.clock import Clock, SystemClock
from airflow_provider_toggl.core.errors import AccessDenied, ConfigurationError, PlanLacksFeature
from airflow_provider_toggl.core.extract import cursor as cursors
from airflow_provider_toggl.core.extract import windows
from airflow_provider_toggl.core.extract.audit_log import AuditLogReader
from airflow_provider_toggl.core.extract.cursor import Attempt, EntriesCursor, HistoriesCursor, ListCursor
from airflow_provider_toggl.core.extract.entries import EntriesOptions, EntriesReader
from airflow_provider_toggl.core.extract.histories import Histories, HistoriesReader
from airflow_provider_toggl.core.extract.lists import ListOptions, ListReader
from airflow_provider_toggl.core.extract.pages import Page
from airflow_provider_toggl.core.instants import parse_instant, rfc3339
from airflow_provider_toggl.core.load.load_metrics import measure_freshness
from airflow_provider_toggl.core.load.merging.changes import Changes
from airflow_provider_toggl.core.load.values import LoadResult, Progress, Sweep
from airflow_provider_toggl.core.load.warehouse import Warehouse
from airflow_provider_toggl.core.log_fields import fields, fields_of, log_line
from airflow_provider_toggl.core.streams import Stream, check_days, get_stream, why_skipped
from airflow_provider_toggl.core.sync.changed_timesheets import find_changed_timesheets
from airflow_provider_toggl.core.sync.page_loader import PageLoader, log_problems
from airflow_provider_toggl.core.sync.rated_objects import find_rated_objects
from airflow_provider_toggl.core.sync.recurring_projects import find_recurring_projects
from airflow_provider_toggl.core.wording import duration, plural

if TYPE_CHECKING:
    from airflow_provider_toggl.core.load.decode.records import RecordBatch

log = logging.getLogger(__name__)

_Cursor = TypeVar("_Cursor", EntriesCursor, ListCursor, HistoriesCursor)

#: Seconds between log lines about progress.
LOG_EVERY = 5.0


@dataclass(frozen=True)
class PullRequest:
    """Which stream to pull, and which days of it.

    :param run_started: when the task's attempt began, by this machine's clock; what was read since then is done. The
        cursor has an earlier start where this run is a retry or goes on after a deferral.
    :param since: first day of the history, or of the days to read if ``incremental`` is False; in the zone of the
        token's owner.
    :param until: last day to read; only if ``incremental`` is False.
    :param incremental: True reads what changed since the last run; False reads the days, or the whole list, again.
    :param page_size: entries to ask for in a page.
    :param lag: how long a change may take to show in reports.
    :param windows_per_run: years of history that a run may read changes of.
    :param absent_share: if a complete list lacks more than this share of the known rows, and more than ``absent_rows``,
        the run fails instead of marking them as absent.
    :param attempt_key: the same for all tries of the task's attempt; empty means that nothing is continued.
    :param try_number: the try of the task.
    :param is_resumed: whether the same try goes on after a deferral.
    :param warehouse: connection and schema, as metrics name them.
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
            raise ConfigurationError(f"workspace_id is {self.workspace_id}; it must be a positive number.")
        if not 0 < self.page_size <= 10_000:
            raise ConfigurationError(f"page_size is {self.page_size}; it must be from 1 to 10000.")
        if self.windows_per_run < 1 or self.lag < timedelta(0):
            raise ConfigurationError("windows_per_run must be at least 1, and report_lag must not be negative.")
        check_days(self.stream, self.since, self.until, incremental=self.incremental)

    @property
    def attempt(self) -> Attempt:
        """The attempt of the task, as far as it is known without the cursor."""
        return Attempt(self.attempt_key, self.try_number, self.run_started)


@dataclass
class PullSummary:
    """What a run did. All numbers are of the whole run, with its parts before deferrals.

    :param unchanged: rows that were loaded before as they are.
    :param rejected: records that are in ``rejected_records`` now.
    :param unexpected_durations: entries whose duration is not the time from start to stop, or that stop before they
        start; they are loaded as Toggl has them.
    :param absent: rows that a complete list lacked.
    :param requests: requests sent, refused ones included.
    :param quota_left: requests left in the lane at the last answer; None where Toggl does not say.
    :param watermark: all changes up to this moment, by Toggl's clock, are loaded; None during the first load.
    :param skipped: why the stream was left out: the plan or the token lacks it; empty if it was read.
    :param unseen: columns with money that were null in every row that was read.
    """

    stream: str
    workspace_id: int
    pages: int = 0
    rows: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    unexpected_durations: int = 0
    absent: int = 0
    requests: int = 0
    quota_left: int | None = None
    watermark: str | None = None
    deferrals: int = 0
    seconds: float = 0.0
    skipped: str = ""
    unseen: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON and XCom can hold it."""
        return asdict(self)

    def __str__(self) -> str:
        """Return it as one line of text."""
        if self.skipped:
            return f"{self.stream} of workspace {self.workspace_id}: skipped. {self.skipped}"
        rows, pages = plural(self.rows, "row"), plural(self.pages, "page")
        parts = [
            f"{self.stream} of workspace {self.workspace_id}: {rows} in {pages}",
            f"{self.inserted:,} new, {self.updated:,} changed, {self.unchanged:,} unchanged",
        ]
        parts += [f"{self.rejected:,} rejected (see rejected_records)"] if self.rejected else []
        parts += [f"{self.unexpected_durations:,} with unexpected durations"] if self.unexpected_durations else []
        parts += [f"{self.absent:,} absent"] if self.absent else []
        parts += [f"no {' and no '.join(self.unseen)} in any row"] if self.unseen else []
        parts.append(
            plural(self.requests, "request") + ("" if self.quota_left is None else f", {self.quota_left} left")
        )
        parts += [f"{plural(self.deferrals, 'wait')} for the quota"] if self.deferrals else []
        parts.append("first load not finished" if self.watermark is None else f"complete up to {self.watermark}")
        return "; ".join(parts) + "."


class PullTarget(Protocol):
    """What a stream is pulled into: a warehouse, or files."""

    def find_state(self, stream: str, scope: str) -> Progress | None:
        """Return how far the stream is loaded in that scope, None if it was never loaded."""

    def release(self, *, force: bool = ...) -> None:
        """Let others use the target while the pull waits."""


class Loader(Protocol):
    """Stores pages in a target, each with its progress."""

    def decode(self, page: Page) -> RecordBatch:
        """Return the records of a page, and log its problems."""

    def load(
        self, page: Page, batch: RecordBatch, sweep: Sweep | None = None, *, collect_days: bool = False
    ) -> LoadResult:
        """Store a page's records and its progress."""


class Pull:
    """Pulls one stream of one workspace into a target.

    :param summary: what earlier parts of the same run did, when it goes on after a deferral.
    :param loader: stores the pages; None for a target that is a warehouse.
    """

    def __init__(
        self,
        session: TogglSession,
        target: PullTarget,
        request: PullRequest,
        *,
        summary: PullSummary | None = None,
        clock: Clock | None = None,
        loader: Loader | None = None,
    ) -> None:
        self._session = session
        self._target = target
        self._request = request
        self._clock = clock or SystemClock()
        self._stream = get_stream(request.stream)
        self._only = _only_window(request)
        if loader is None and isinstance(target, Warehouse):
            loader = PageLoader(target, request.workspace_id, self.scope, self._clock)
        if loader is None:
            raise TypeError("a target that is not a warehouse needs a loader")
        self._loader: Loader = loader
        self.summary = summary or PullSummary(request.stream, request.workspace_id)
        self.changes = Changes()
        self._current: EntriesReader | ListReader | HistoriesReader | None = None
        self._pace = _Pace()
        self._money: set[str] = set()
        # Requests and seconds of earlier parts of the run, less what session and clock showed when this part began.
        self._base = (0, 0.0)
        if self.summary.inserted or self.summary.updated or self.summary.absent:
            # Of an earlier part of the run only the numbers of rows are known.
            self.changes.mark(request.workspace_id, request.stream)

    @property
    def scope(self) -> str:
        """The scope of the stream's progress in the target."""
        return build_scope(self._request)

    def run(self) -> PullSummary:
        """Load pages until nothing is left to read; return the summary.

        :raises TogglError: loaded pages stay, and :attr:`summary` says how many there are.
        """
        request = self._request
        with fields(connection=self._session.name, workspace_id=request.workspace_id, stream=request.stream, by="pull"):
            return self._run()

    def estimate(self) -> Estimate:
        """Return about how many requests are left in this run and how long they take. It sends no request.

        Days that were never read count as if they had as many entries as those read last. How far back a history goes
        is not known before its end is found.
        """
        reader = self._current
        requests = _requests_left(reader, self._pace) if isinstance(reader, EntriesReader) else self._pace.left
        return self._session.estimate(max(1, requests or 1), self._path())

    def _run(self) -> PullSummary:
        started = self._clock.now()
        spent = self._session.spent
        self._base = self.summary.requests - spent, self.summary.seconds - started
        try:
            with self._session.calling_before_waits(lambda seconds: self._target.release(force=seconds > 2.0)):
                self._load_pages()
        finally:
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
            watermark = self.summary.watermark
            measure_freshness(
                None if watermark is None else parse_instant(watermark),
                now,
                by="pull",
                stream=request.stream,
                workspace_id=request.workspace_id,
                warehouse=request.warehouse,
            )

    def _load_pages(self) -> None:
        state = self._target.find_state(self._stream.name, self.scope)
        watermark = state.watermark if state else None
        self.summary.watermark = rfc3339(watermark) or self.summary.watermark
        cursor = state.cursor if state else None
        reader = self._current = self._build_reader(cursor, watermark)
        if isinstance(reader, EntriesReader):
            self._log_plan(reader)
        elif self._stream.listing == "whole":
            # The whole list is one answer; some paths need the organization first.
            self._session.expect(2 if "{organization_id}" in self._stream.path else 1)
        logged = started = self._clock.now()
        self._target.release()
        try:
            for page in reader.pages():
                self._load(page)
                now = self._clock.now()
                if now - logged >= LOG_EVERY or self.summary.pages == 1:
                    logged = now
                    self._log_progress(page, now - started)
                self._target.release()
        except (PlanLacksFeature, AccessDenied) as error:
            reason = why_skipped(self._stream, error)
            if reason is None or isinstance(reader, EntriesReader):
                raise
            if isinstance(error, AccessDenied):
                # Toggl answers in the same way where the token does not see the workspace: then this raises.
                self._session.request("GET", self._path())
            self._skip(reader, reason)
        self._report_unseen_money()

    def _skip(self, reader: ListReader | HistoriesReader, reason: str) -> None:
        """Record that Toggl refuses the stream, so that the run does not fail; what was loaded before stays."""
        page = reader.skip(reason)
        self._loader.load(page, self._loader.decode(page))
        self.summary.skipped = reason

    def _report_unseen_money(self) -> None:
        if not self.summary.rows:
            return
        self.summary.unseen = sorted(set(self._stream.money) - self._money)
        if self.summary.unseen:
            log.info(
                "%s of workspace %s: %s is null in every row. Nobody has set it, the plan lacks it, or the token's "
                "owner may not see it.",
                self._stream.name,
                self._request.workspace_id,
                " and ".join(self.summary.unseen),
            )

    def _build_reader(
        self, cursor: str | None, watermark: datetime | None
    ) -> EntriesReader | ListReader | HistoriesReader:
        if self._stream.listing == "histories":
            return self._build_histories_reader(cursor, watermark)
        return build_reader(self._session, self._request, cursor, watermark, self._clock)

    def _build_histories_reader(self, cursor: str | None, watermark: datetime | None) -> HistoriesReader:
        request = self._request
        if not isinstance(self._target, Warehouse):
            raise _needs_warehouse(self._stream)
        before = cursors.load(cursor, HistoriesCursor)
        known, attempt = _continued(before, request)
        if not request.incremental and (before.attempt is None or attempt.started != before.attempt.started):
            known = replace(known, marks={})
        histories = _FINDERS[self._stream.name](self._target, request.workspace_id)
        if not request.incremental:
            histories = replace(histories, first_reaches=None)
        return HistoriesReader(
            self._session,
            self._stream,
            request.workspace_id,
            histories,
            known,
            run_started=attempt.started,
            watermark=watermark,
            clock=self._clock,
        )

    def _load(self, page: Page) -> None:
        request, summary = self._request, self.summary
        batch = self._loader.decode(page)
        sweep = None
        # With a rejected record, it is unknown which row the list lacks.
        if page.complete_at is not None and not summary.rejected and not batch.rejected:
            sweep = Sweep(request.workspace_id, page.complete_at, request.absent_share, request.absent_rows)
        loaded = self._loader.load(page, batch, sweep, collect_days=True)
        self._collect_changes(batch, loaded)
        self._money |= {name for name in self._stream.money if batch.table[name].null_count < batch.rows}
        self._pace = self._pace.after(page)
        summary.pages += 1
        summary.rows += page.rows
        summary.inserted += loaded.inserted
        summary.updated += loaded.updated
        summary.unchanged += loaded.unchanged
        summary.rejected += loaded.rejected
        summary.unexpected_durations += batch.unexpected_durations
        summary.absent += loaded.absent
        summary.watermark = rfc3339(page.watermark) or summary.watermark

    def _collect_changes(self, batch: RecordBatch, loaded: LoadResult) -> None:
        if loaded.inserted or loaded.updated or loaded.absent:
            self.changes.mark(self._request.workspace_id, batch.stream)
            self.changes.collect_batches([batch])
            self.changes.collect_days(loaded)

    def _path(self) -> str:
        """Return a path whose lane the requests of this stream count against."""
        return f"/api/v9/workspaces/{self._request.workspace_id}"

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
            "unknown number of requests" if left is None else plural(left, "request"),
            **(fields_of(self.summary) | {"quota_left": left}),
        )


@dataclass(frozen=True)
class _Pace:
    """The progress of a window or list, to estimate how many pages it has: the share that is read after each page.

    The first page does not count: a history may begin in the middle of its first year.
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
        """Pages of the whole window or list; None while that is unknown."""
        return self.pages / (self.last - self.first) if self.last > self.first else None

    @property
    def left(self) -> int | None:
        """Pages that are left of it; None while that is unknown."""
        return None if self.whole is None else max(1, round(self.whole * (1 - self.last)))


def _requests_left(reader: EntriesReader, pace: _Pace) -> int:
    """Return about how many pages a reader still has to read in this run: at least one for each window."""
    opened, due = reader.cursor.open, reader.plan()
    others = [window for window in due if opened is None or window != opened.window]
    requests = len(others) + (0 if opened is None else pace.left or 1)
    if opened is not None and opened.order == "date" and pace.whole is not None:
        unread = [one for one in others if one.first < opened.first and windows.gaps(reader.cursor.coverage, one)]
        requests += sum(round(one.days * pace.whole / opened.window.days) - 1 for one in unread)
    return requests


_FINDERS: dict[str, Callable[[Warehouse, int], Histories]] = {
    "rates": find_rated_objects,
    "timesheet_history": find_changed_timesheets,
    "project_periods": find_recurring_projects,
}


def _needs_warehouse(stream: Stream) -> ConfigurationError:
    return ConfigurationError(
        f"The stream {stream.name} needs a warehouse: other tables there say which histories changed. Load it with "
        "TogglToSqlOperator, and read the table."
    )


def build_scope(request: PullRequest) -> str:
    """Return the scope of a request's progress: the workspace, and the days of a fixed range."""
    only = _only_window(request)
    return str(request.workspace_id) + ("" if only is None else f"/{only.first}..{only.last}")


def build_reader(
    session: TogglSession, request: PullRequest, cursor: str | None, watermark: datetime | None, clock: Clock
) -> EntriesReader | ListReader:
    """Return the reader of a stream, beginning at a cursor, or at the start without one.

    :raises ConfigurationError: the stream cannot be read without a warehouse.
    """
    stream = get_stream(request.stream)
    if stream.listing == "histories":
        raise _needs_warehouse(stream)
    if stream.listing != "report":
        reader = AuditLogReader if stream.listing == "log" else ListReader
        listed, attempt = _continued(cursors.load(cursor, ListCursor), request)
        options = ListOptions(request.workspace_id, attempt.started, request.incremental)
        return reader(session, stream, options, listed, watermark=watermark, clock=clock)
    entries, attempt = _continued(cursors.load(cursor, EntriesCursor), request)
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
    """Return the cursor with the attempt of the request, and that attempt with its start."""
    attempt = request.attempt.continue_from(cursor.attempt, is_resumed=request.is_resumed)
    return replace(cursor, attempt=attempt if attempt.key else None), attempt


def read_pages(session: TogglSession, request: PullRequest) -> Iterator[Page]:
    """Yield the pages of a request, for callers that want rows and have no warehouse."""
    return build_reader(session, request, None, None, SystemClock()).pages()


def build_batches(pages: Iterator[Page], workspace_id: int) -> Iterator[RecordBatch]:
    """Yield the decoded pages, for callers that want rows and have no warehouse."""
    from airflow_provider_toggl.core.load.decode.records import Observation, decode_page  # noqa: PLC0415 - reading rows needs pyarrow, importing this module must not

    for page in pages:
        batch = decode_page(page.stream, page.body, Observation(workspace_id, page.observed_at))
        log_problems(batch, page.where)
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
    # The day on which the run started, so that a range stays the same over deferrals and retries.
    return request.run_started.astimezone(timezone.utc).date()
