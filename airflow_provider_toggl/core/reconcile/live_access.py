"""Read from Toggl for a reconciliation, load what comes, and store the progress with it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.clock import Clock, utc
from airflow_provider_toggl.core.errors import PayloadRefused
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
from airflow_provider_toggl.core.reconcile.access import ShownEntries
from airflow_provider_toggl.core.reconcile.compare import ReportTime, as_ids, from_micros
from airflow_provider_toggl.core.reconcile.day_range import DayRange
from airflow_provider_toggl.core.reconcile.deletion_policy import Visibility
from airflow_provider_toggl.core.reconcile.entry_queries import EntryQueries
from airflow_provider_toggl.core.reconcile.request import ReconcileSummary
from airflow_provider_toggl.core.reconcile.state import RunState
from airflow_provider_toggl.core.sync.page_loader import PageLoader

if TYPE_CHECKING:
    from airflow_provider_toggl.core.load.decode.records import RecordBatch

T = TypeVar("T")
log = logging.getLogger(__name__)

STREAM = "time_entries"


class LiveAccess(EntryQueries):
    """The access of one run to Toggl and the warehouse. It keeps the run's state, summary and changes up to date.

    :param days: the days of the run.
    :param me: the answer of ``GET /me``, which says whose the token is.
    :param accounted: how many requests of the session are stored already, or belong to no run.
    """

    def __init__(
        self,
        session: TogglSession,
        target: Warehouse,
        state: RunState,
        days: DayRange,
        *,
        me: object,
        summary: ReconcileSummary,
        changes: Changes,
        clock: Clock,
        accounted: int,
    ) -> None:
        super().__init__(target, state.request.workspace_id)
        self._session = session
        self._state = state
        self._days = days
        self._me = me
        self._summary = summary
        self._changes = changes
        self._clock = clock
        self._accounted = accounted
        self._loader = PageLoader(target, self._workspace_id, state.request.scope, clock, by="reconcile")

    def read_changes(self, window: Window, overlap: timedelta) -> None:
        """Load what changed in a window since it was last read, and the days that were never read as a whole."""
        options = replace(self._options(window), only_changes=True, overlap=overlap)
        reader = EntriesReader(self._session, options, self._state.cursor.changes, self._clock)
        for page in reader.pages():
            self._state.update(changes=reader.cursor)
            self._load(page, self._loader.decode(page))

    def save_progress(self) -> None:
        """Store watermark and cursor."""
        self._target.load([], self._progress())

    # Ask Toggl

    def read_totals(self, window: Window) -> tuple[WindowTotals, ReportTime]:
        """Read a window's seconds by user and project, with ids where Toggl gives them."""
        query = summaries.build_summary_query(window)
        return self._read_report(summaries.SUMMARY_PATH, query, window, summaries.read_summary)

    def read_daily_seconds(self, window: Window, user_ids: Sequence[int]) -> tuple[Int64s | None, ReportTime]:
        """Read the seconds that some users have on each day of a window."""
        query = summaries.build_daily_query(window, user_ids)

        def read(body: bytes, asked: str) -> Int64s | None:
            return summaries.read_daily_seconds(body, window, asked)

        return self._read_report(summaries.DAILY_PATH, query, window, read)

    def _read_report(
        self, path: str, query: Mapping[str, Any], window: Window, read: Callable[[bytes, str], T]
    ) -> tuple[T, ReportTime]:
        path = path.format(workspace_id=self._workspace_id)
        # Toggl may take a while for the totals of a year.
        self._target.release(force=True)

        def ask() -> tuple[T, ReportTime]:
            answer = self._session.request("POST", path, payload=query)
            return read(answer.body, f"POST {path} ({window})"), ReportTime(answer.date, self._state.request.lag)

        try:
            return retry_malformed(ask)
        except PayloadRefused as error:
            # Reports are shorter from now on; the run splits the window accordingly.
            self._state.update(changes=adapt(self._state.cursor.changes, error, self._state.request.page_size))
            raise

    def read_entries(self, window: Window, filters: Mapping[str, Any]) -> ShownEntries:
        """Read and load the entries that pass the filters.

        Where ids were asked for and other entries come, reports ignore that filter: then this stops at the first page.
        """
        state, asked = self._state, filters.get("time_entry_ids")
        known = EntriesCursor(span_days=state.span_days, page_size=state.cursor.changes.page_size)
        options = replace(self._options(window), filters=filters)
        reader = EntriesReader(self._session, options, known, self._clock)
        shown, rejected = ShownEntries(), 0
        for page in reader.pages():
            batch = self._loader.decode(page)
            shown = _add_page(shown, page, batch)
            rejected += len(batch.rejected)
            self._load(page, batch)
            if asked is not None and not np.isin(shown.ids, as_ids(asked)).all():
                shown = replace(shown, has_others=True)
                if reader.cursor.open is not None:
                    break
        else:
            shown = replace(shown, is_complete=not rejected)
        learned = reader.cursor
        changes = replace(state.cursor.changes, span_days=learned.span_days, page_size=learned.page_size)
        state.update(changes=changes)
        if asked:
            state.update(takes_ids=not shown.has_others)
        return shown

    def read_visibility(self) -> Visibility:
        """Return which entries the token may see; asks Toggl once a run."""
        return self._visibility

    @cached_property
    def _visibility(self) -> Visibility:
        self._target.release(force=True)
        path = f"/api/v9/workspaces/{self._workspace_id}"
        return Visibility.from_http(self._session.request("GET", path).json(), self._me)

    def read_other_days(self) -> None:
        """Load what changed outside the days to verify, once a run."""
        state = self._state
        if state.cursor.other_days_read_at < self._state.request.run_started:
            for window in self._days.other_windows(state.cursor.changes.coverage, state.span_days):
                self.read_changes(window, self._state.request.overlap)
            state.update(other_days_read_at=self._state.request.run_started)

    def _options(self, window: Window) -> EntriesOptions:
        request = self._state.request
        return EntriesOptions(
            workspace_id=request.workspace_id,
            run_started=request.run_started,
            only=window,
            page_size=request.page_size,
            lag=request.lag,
        )

    # Load and store

    def _load(self, page: Page, batch: RecordBatch) -> None:
        state, summary = self._state, self._summary
        updated = batch.table["updated_at"].cast("int64").drop_null().to_numpy()
        if len(updated):
            newest = from_micros(updated.max())
            state.newest_change = max(newest, state.newest_change or newest)
        if batch.table["duration"].null_count and not state.cursor.shows_running:
            state.update(shows_running=True)
        progress = replace(
            page, cursor=cursors.dump(state.cursor), watermark=state.watermark, requests=self._take_requests()
        )
        loaded = self._loader.load(progress, batch, collect_days=self._state.request.collect_changes)
        self._changes.collect_result(self._workspace_id, loaded)
        summary.pages += 1
        summary.added += loaded.inserted
        summary.edited += loaded.updated
        summary.rejected += loaded.rejected
        state.loaded += page.rows
        self._target.release()

    def mark_deleted(self, ids: Sequence[int], absent_at: datetime) -> None:
        """Mark entries as absent."""
        from airflow_provider_toggl.core.load.decode.absences import build_absences  # noqa: PLC0415 - loading needs pyarrow, importing this module must not

        batch = build_absences(STREAM, self._workspace_id, ids, absent_at)
        loaded = self._target.load([batch], self._progress(), collect_days=self._state.request.collect_changes)
        self._changes.collect_result(self._workspace_id, loaded)
        self._summary.deleted += loaded.updated
        measure_rows({"absent": loaded.updated}, by="reconcile", stream=STREAM)
        self._state.loaded += len(ids)

    def _progress(self) -> Progress:
        return Progress(
            stream=STREAM,
            scope=self._state.request.scope,
            watermark=self._state.watermark,
            cursor=cursors.dump(self._state.cursor),
            requests_spent=self._take_requests(),
            ran_at=utc(self._clock.now()),
        )

    def _take_requests(self) -> int:
        """Return how many requests were sent since the last call."""
        spent, self._accounted = self._session.spent - self._accounted, self._session.spent
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
