"""What reconciliation asks of Toggl, landed as it comes, with the progress beside it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from airflow_provider_toggl.core.client.responses import Answer
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.clock import Clock, utc
from airflow_provider_toggl.core.errors import MalformedAnswer, PayloadRefused
from airflow_provider_toggl.core.extract.cursor import EntriesCursor
from airflow_provider_toggl.core.extract.entries import TRIES, EntriesOptions, EntriesReader, adapt
from airflow_provider_toggl.core.extract.pages import Page
from airflow_provider_toggl.core.extract.summaries import (
    Int64s,
    WindowTotals,
    build_daily_query,
    build_summary_query,
    read_daily_seconds,
    read_summary,
)
from airflow_provider_toggl.core.extract.windows import Window
from airflow_provider_toggl.core.load.changes import Changes
from airflow_provider_toggl.core.load.measuring import measure_rows
from airflow_provider_toggl.core.load.target import Progress, Target
from airflow_provider_toggl.core.reconcile import cursor as proofs
from airflow_provider_toggl.core.reconcile.compare import ReportTime as SumsClock
from airflow_provider_toggl.core.reconcile.compare import as_ids, instant
from airflow_provider_toggl.core.reconcile.deletion_policy import ProbeAnswer
from airflow_provider_toggl.core.reconcile.request import ReconcileRequest, ReconcileSummary
from airflow_provider_toggl.core.sync.page_loader import PageLoader

if TYPE_CHECKING:
    from airflow_provider_toggl.core.load.records import Batch

T = TypeVar("T")
log = logging.getLogger(__name__)

STREAM = "time_entries"
_REPORTS = "/reports/api/v3/workspace/{}"


@dataclass
class Heard:
    """What an answer of several pages showed.

    :param complete: all its pages came, and every row of them could be read.
    :param foreign: whether rows came that were not asked for.
    """

    ids: Int64s = field(default_factory=lambda: as_ids(()))
    first_start: datetime | None = None
    spoken_for: datetime | None = None
    complete: bool = False
    foreign: bool = False

    def add(self, batch: Batch, page: Page) -> None:
        """Take note of a page."""
        self.ids = np.concatenate([self.ids, batch.table["id"].to_numpy()])
        starts = batch.table["start"].cast("int64").drop_null().to_numpy()
        if len(starts):
            first = instant(starts.min())
            self.first_start = first if self.first_start is None else min(first, self.first_start)
        self.spoken_for = min(self.spoken_for or page.observed_at, page.observed_at)


class Reading:
    """Asks, lands, and keeps the cursor.

    :param accounted: what the session had spent before this run.

    Its ``request`` is the one given, with the start of the attempt that it continues.
    """

    def __init__(
        self,
        session: TogglSession,
        target: Target,
        request: ReconcileRequest,
        *,
        summary: ReconcileSummary,
        clock: Clock,
        changes: Changes,
        accounted: int,
    ) -> None:
        self._session = session
        self._target = target
        self._clock = clock
        self._summary = summary
        self._changes = changes
        self._lander = PageLoader(target, request.workspace_id, request.scope, clock, by="reconcile")
        self._accounted = accounted
        self.newest_at: datetime | None = None
        self.landed = 0
        state = target.find_state(STREAM, request.scope)
        self.watermark = state.watermark if state else None
        cursor = proofs.load(state.cursor if state else None)
        attempt = request.attempt.continue_from(cursor.attempt, is_resumed=request.is_resumed)
        self.cursor = replace(cursor, attempt=attempt if attempt.key else None)
        self.request = self._request = replace(request, run_started=attempt.started)

    @property
    def page_size(self) -> int:
        """Entries of a page at most, as far as Toggl has refused more."""
        return min(self._request.page_size, self.cursor.changes.page_size or self._request.page_size)

    @property
    def span_days(self) -> int:
        """Days of a report at most, as far as Toggl has refused more."""
        return self.cursor.changes.span_days

    def keep(self, **changes: Any) -> None:
        """Change the cursor; it is stored with what is landed next."""
        self.cursor = replace(self.cursor, **changes)

    def store(self) -> None:
        """Store the cursor alone."""
        self._target.land([], self._progress())

    def read_changes(self, window: Window, overlap: timedelta) -> None:
        """Land what was changed in a window since it was last looked at, whole days that never were."""
        options = replace(self._options(window), only_changes=True, overlap=overlap)
        reader = EntriesReader(self._session, options, self.cursor.changes, self._clock)
        for page in reader.pages():
            self.keep(changes=reader.cursor)
            self._land(page, self._lander.decode(page))

    def read(self, window: Window, filters: Mapping[str, Any]) -> Heard:
        """Land what a window has of entries that pass the filters, and return what was shown.

        Where ids are asked for and others come, the filter does not work here: reading stops unless it is at its end.
        """
        asked = filters.get("time_entry_ids")
        known = EntriesCursor(span_days=self.span_days, page_size=self.cursor.changes.page_size)
        reader = EntriesReader(self._session, replace(self._options(window), filters=filters), known, self._clock)
        heard = Heard()
        rejected = 0
        for page in reader.pages():
            batch = self._lander.decode(page)
            heard.add(batch, page)
            rejected += len(batch.rejected)
            self._land(page, batch)
            is_last = reader.cursor.open is None
            if asked is not None and not np.isin(heard.ids, as_ids(asked)).all():
                heard.foreign = True
                if not is_last:
                    break
        else:
            heard.complete = not rejected
        learned = reader.cursor
        if (learned.span_days, learned.page_size) != (known.span_days, known.page_size):
            changes = replace(self.cursor.changes, span_days=learned.span_days, page_size=learned.page_size)
            self.keep(changes=changes)
        if asked:
            self.keep(takes_ids=not heard.foreign)
        return heard

    def read_sums(self, window: Window) -> tuple[WindowTotals, SumsClock]:
        """Return a window's sums and ids, and when they were told."""

        def read(answer: Answer, asked: str) -> tuple[WindowTotals, SumsClock]:
            return read_summary(answer.body, asked), SumsClock(answer.date, self._request.lag)

        return self._ask("summary/time_entries", build_summary_query(window), window, read)

    def read_days(self, window: Window, user_ids: Sequence[int]) -> tuple[Int64s | None, SumsClock]:
        """Return the seconds of each day of some users, None where they are not given by day."""

        def read(answer: Answer, asked: str) -> tuple[Int64s | None, SumsClock]:
            return read_daily_seconds(answer.body, window, asked), SumsClock(answer.date, self._request.lag)

        return self._ask("search/time_entries/totals", build_daily_query(window, user_ids), window, read)

    def land_absences(self, ids: Sequence[int], absent_at: datetime) -> None:
        """Mark entries as absent at a moment."""
        # Imported here: landing needs pyarrow, and importing this module must not.
        from airflow_provider_toggl.core.load.absences import build_absences  # noqa: PLC0415 - landing needs pyarrow, importing this module must not

        batch = build_absences(STREAM, self._request.workspace_id, ids, absent_at)
        landed = self._target.land([batch], self._progress(), note_days=self._request.collect_changes)
        self._changes.note_changed(self._request.workspace_id, landed)
        self._summary.deleted += landed.updated
        measure_rows({"absent": landed.updated}, by="reconcile", stream=STREAM)
        self.landed += len(ids)

    def testify(self, heard: Heard, *, is_sound: bool) -> ProbeAnswer:
        """Return what an answer proves."""
        spoken_for = heard.spoken_for or utc(0)
        return ProbeAnswer(
            date=spoken_for + self._request.lag,
            spoken_for=spoken_for,
            is_sound=is_sound,
            first_start=heard.first_start,
            newest_at=self.newest_at,
            shows_running=self.cursor.shows_running,
        )

    def _options(self, window: Window) -> EntriesOptions:
        request = self._request
        return EntriesOptions(
            workspace_id=request.workspace_id,
            run_started=request.run_started,
            only=window,
            page_size=request.page_size,
            lag=request.lag,
        )

    def _land(self, page: Page, batch: Batch) -> None:
        updated = batch.table["updated_at"].cast("int64").drop_null().to_numpy()
        if len(updated):
            newest = instant(updated.max())
            self.newest_at = newest if self.newest_at is None else max(newest, self.newest_at)
        if not self.cursor.shows_running and batch.table["duration"].null_count:
            self.keep(shows_running=True)
        page = replace(page, cursor=proofs.dump(self.cursor), watermark=self.watermark, requests=self._unaccounted())
        landed = self._lander.land(page, batch, note_days=self._request.collect_changes)
        self._changes.note_changed(self._request.workspace_id, landed)
        self._summary.pages += 1
        self._summary.added += landed.inserted
        self._summary.edited += landed.updated
        self._summary.rejected += landed.rejected
        self.landed += page.rows
        self._target.release()

    def _progress(self) -> Progress:
        return Progress(
            stream=STREAM,
            scope=self._request.scope,
            watermark=self.watermark,
            cursor=proofs.dump(self.cursor),
            requests_spent=self._unaccounted(),
            ran_at=utc(self._clock.now()),
        )

    def _unaccounted(self) -> int:
        spent, self._accounted = self._session.spent - self._accounted, self._session.spent
        return spent

    def _ask(self, name: str, payload: Mapping[str, Any], window: Window, read: Callable[[Answer, str], T]) -> T:
        path = f"{_REPORTS.format(self._request.workspace_id)}/{name}"
        # A year's sums may take Toggl a while.
        self._target.release(force=True)
        for attempt in range(1, TRIES + 1):
            try:
                return read(self._session.request("POST", path, payload=payload), f"POST {path} ({window})")
            except PayloadRefused as error:
                # Shorter ranges from now on; who asked plans anew.
                self.keep(changes=adapt(self.cursor.changes, error, self._request.page_size))
                raise
            except MalformedAnswer as error:
                if attempt == TRIES:
                    raise
                log.warning("%s Asking once more.", error)
        raise MalformedAnswer(f"POST {path}: no whole answer came.")
