"""Execute the steps of a reconciliation: ask Toggl, query the warehouse, load what comes, and store the progress."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.clock import Clock, utc
from airflow_provider_toggl.core.errors import MalformedAnswer, PayloadRefused
from airflow_provider_toggl.core.extract import summaries
from airflow_provider_toggl.core.extract.cursor import EntriesCursor
from airflow_provider_toggl.core.extract.entries import EntriesOptions, EntriesReader, adapt
from airflow_provider_toggl.core.extract.pages import Page, retry_malformed
from airflow_provider_toggl.core.extract.summaries import Int64s, WindowTotals
from airflow_provider_toggl.core.extract.windows import Window
from airflow_provider_toggl.core.load.load_metrics import measure_rows
from airflow_provider_toggl.core.load.merging.changes import Changes
from airflow_provider_toggl.core.load.values import Progress
from airflow_provider_toggl.core.load.warehouse import Warehouse
from airflow_provider_toggl.core.reconcile import cursor as cursors
from airflow_provider_toggl.core.reconcile import steps
from airflow_provider_toggl.core.reconcile.compare import ReportTime, as_ids, from_micros
from airflow_provider_toggl.core.reconcile.day_range import DayRange
from airflow_provider_toggl.core.reconcile.deletion_policy import Visibility
from airflow_provider_toggl.core.reconcile.entry_queries import EntryQueries
from airflow_provider_toggl.core.reconcile.request import ReconcileSummary
from airflow_provider_toggl.core.reconcile.state import RunState
from airflow_provider_toggl.core.reconcile.steps import ShownEntries, Step, Steps
from airflow_provider_toggl.core.sync.page_loader import PageLoader

if TYPE_CHECKING:
    from airflow_provider_toggl.core.load.decode.records import RecordBatch

T = TypeVar("T")
log = logging.getLogger(__name__)

STREAM = "time_entries"


@dataclass
class StepRunner:
    """Executes steps for one run, and keeps its state, summary and changes up to date.

    :param days: the days of the run.
    :param me: the answer of ``GET /me``, which says whose the token is.
    :param accounted: the session's request count when it was last stored; the requests before that are not this run's
        or are stored already.
    """

    session: TogglSession
    target: Warehouse
    state: RunState
    days: DayRange
    me: object
    summary: ReconcileSummary
    changes: Changes
    clock: Clock
    accounted: int

    def __post_init__(self) -> None:
        request = self.state.request
        self._workspace_id = request.workspace_id
        self._loader = PageLoader(self.target, self._workspace_id, request.scope, self.clock, by="reconcile")
        queries = EntryQueries(self.target, self._workspace_id)
        self._actions: Mapping[type[Step[Any]], Callable[[Any], Any]] = {
            steps.ReadTotals: self._read_totals,
            steps.ReadDailySeconds: self._read_daily_seconds,
            steps.ReadEntries: self._read_entries,
            steps.ReadVisibility: lambda _: self._visibility,
            steps.ReadOtherDays: lambda _: self._read_other_days(),
            steps.QueryRows: lambda step: queries.find_rows(step.begin, step.end),
            steps.QueryNeighbours: lambda step: queries.find_neighbours(step.begin, step.end),
            steps.QueryOutdated: lambda step: queries.find_outdated(step.begin, step.end),
            steps.QueryLive: lambda step: queries.find_live(step.ids),
            steps.MarkDeleted: self._mark_deleted,
            steps.SaveProgress: lambda _: self.store(),
        }

    def run(self, verification: Steps[T]) -> T:
        """Execute the steps that a verification yields, and return what it returns.

        The verification may handle ``MalformedAnswer``; any other error ends it.

        :param verification: a generator of steps, as ``steps`` describes it.
        """
        step = next(verification)
        while True:
            try:
                try:
                    result = self._actions[type(step)](step)
                except MalformedAnswer as error:
                    step = verification.throw(error)
                else:
                    step = verification.send(result)
            except StopIteration as stop:
                returned: T = stop.value
                return returned

    def read_changes(self, window: Window, overlap: timedelta) -> None:
        """Load what changed in a window since it was last read, and the days not yet read completely."""
        options = replace(self._options(window), only_changes=True, overlap=overlap)
        reader = EntriesReader(self.session, options, self.state.cursor.changes, self.clock)
        for page in reader.pages():
            self.state.update(changes=reader.cursor)
            self._load(page, self._loader.decode(page))

    def store(self) -> None:
        """Store watermark and cursor."""
        self.target.load([], self._progress())

    # Ask Toggl

    def _read_totals(self, step: steps.ReadTotals) -> tuple[WindowTotals, ReportTime]:
        query = summaries.build_summary_query(step.window)
        return self._read_report(summaries.SUMMARY_PATH, query, step.window, summaries.read_summary)

    def _read_daily_seconds(self, step: steps.ReadDailySeconds) -> tuple[Int64s | None, ReportTime]:
        def read(body: bytes, asked: str) -> Int64s | None:
            return summaries.read_daily_seconds(body, step.window, asked)

        query = summaries.build_daily_query(step.window, step.user_ids)
        return self._read_report(summaries.DAILY_PATH, query, step.window, read)

    def _read_report(
        self, path: str, query: Mapping[str, Any], window: Window, read: Callable[[bytes, str], T]
    ) -> tuple[T, ReportTime]:
        path = path.format(workspace_id=self._workspace_id)
        # Toggl may take a while for the totals of a year.
        self.target.release(force=True)

        def ask() -> tuple[T, ReportTime]:
            answer = self.session.request("POST", path, payload=query)
            return read(answer.body, f"POST {path} ({window})"), ReportTime(answer.date, self.state.request.lag)

        try:
            return retry_malformed(ask)
        except PayloadRefused as error:
            # Reports are shorter from now on; the run splits the window accordingly.
            self.state.update(changes=adapt(self.state.cursor.changes, error, self.state.request.page_size))
            raise

    def _read_entries(self, step: steps.ReadEntries) -> ShownEntries:
        state, asked = self.state, step.filters.get("time_entry_ids")
        known = EntriesCursor(span_days=state.span_days, page_size=state.cursor.changes.page_size)
        options = replace(self._options(step.window), filters=step.filters)
        reader = EntriesReader(self.session, options, known, self.clock)
        shown, rejected = ShownEntries(), 0
        for page in reader.pages():
            batch = self._loader.decode(page)
            shown = _add_page(shown, page, batch)
            rejected += len(batch.rejected)
            self._load(page, batch)
            if asked is not None and not np.isin(shown.ids, as_ids(asked)).all():
                # An entry that was not asked for shows that Toggl ignores the id filter.
                shown = replace(shown, has_others=True)
                if reader.cursor.open is not None:  # more pages remain
                    break
        else:
            shown = replace(shown, is_complete=not rejected)
        learned = reader.cursor
        changes = replace(state.cursor.changes, span_days=learned.span_days, page_size=learned.page_size)
        state.update(changes=changes)
        if asked:
            state.update(takes_ids=not shown.has_others)
        return shown

    @cached_property
    def _visibility(self) -> Visibility:
        self.target.release(force=True)
        path = f"/api/v9/workspaces/{self._workspace_id}"
        return Visibility.from_http(self.session.request("GET", path).json(), self.me)

    def _read_other_days(self) -> None:
        state = self.state
        if state.cursor.other_days_read_at < self.state.request.run_started:
            for window in self.days.other_windows(state.cursor.changes.coverage, state.span_days):
                self.read_changes(window, self.state.request.overlap)
            state.update(other_days_read_at=self.state.request.run_started)

    def _options(self, window: Window) -> EntriesOptions:
        request = self.state.request
        return EntriesOptions(
            workspace_id=request.workspace_id,
            run_started=request.run_started,
            only=window,
            page_size=request.page_size,
            lag=request.lag,
        )

    # Load and store

    def _load(self, page: Page, batch: RecordBatch) -> None:
        state, summary = self.state, self.summary
        updated = batch.table["updated_at"].cast("int64").drop_null().to_numpy()
        if len(updated):
            newest = from_micros(updated.max())
            state.newest_change = max(newest, state.newest_change or newest)
        if batch.table["duration"].null_count and not state.cursor.shows_running:
            state.update(shows_running=True)
        progress = replace(
            page, cursor=cursors.dump(state.cursor), watermark=state.watermark, requests=self._take_requests()
        )
        loaded = self._loader.load(progress, batch, collect_days=self.state.request.collect_changes)
        self.changes.collect_result(self._workspace_id, loaded)
        summary.pages += 1
        summary.added += loaded.inserted
        summary.edited += loaded.updated
        summary.rejected += loaded.rejected
        state.loaded += page.rows
        self.target.release()

    def _mark_deleted(self, step: steps.MarkDeleted) -> None:
        from airflow_provider_toggl.core.load.decode.records import build_absences  # noqa: PLC0415 - loading needs pyarrow, importing this module must not

        batch = build_absences(STREAM, self._workspace_id, step.ids, step.absent_at)
        loaded = self.target.load([batch], self._progress(), collect_days=self.state.request.collect_changes)
        self.changes.collect_result(self._workspace_id, loaded)
        self.summary.deleted += loaded.updated
        measure_rows({"absent": loaded.updated}, by="reconcile", stream=STREAM)
        self.state.loaded += len(step.ids)

    def _progress(self) -> Progress:
        return Progress(
            stream=STREAM,
            scope=self.state.request.scope,
            watermark=self.state.watermark,
            cursor=cursors.dump(self.state.cursor),
            requests_spent=self._take_requests(),
            ran_at=utc(self.clock.now()),
        )

    def _take_requests(self) -> int:
        """Return how many requests were sent since the last call."""
        spent, self.accounted = self.session.spent - self.accounted, self.session.spent
        return spent


def _add_page(shown: ShownEntries, page: Page, batch: RecordBatch) -> ShownEntries:
    starts = batch.table["start"].cast("int64").drop_null().to_numpy()
    first = [from_micros(starts.min())] if len(starts) else []
    known = [] if shown.first_start is None else [shown.first_start]
    return replace(
        shown,
        ids=np.concatenate([shown.ids, batch.table["id"].to_numpy()]),
        first_start=min(first + known, default=None),
        observed_at=min(shown.observed_at or page.observed_at, page.observed_at),
    )
