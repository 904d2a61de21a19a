"""Time entries of a whole workspace by the detailed report: first all of it, then what changed, by last update.

https://engineering.toggl.com/docs/reports/detailed_reports. A day that was never read is read whole, in order of date.
A day
that was is asked for by last update, newest first, until changes come that are known already: an edit made today of
an entry of last year stands on the first page.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from airflow_provider_toggl.core.api.answers import Answer
from airflow_provider_toggl.core.api.session import TogglSession
from airflow_provider_toggl.core.clock import Clock, SystemClock, utc
from airflow_provider_toggl.core.errors import MalformedAnswer, PayloadRefused
from airflow_provider_toggl.core.extract import windows
from airflow_provider_toggl.core.extract.cursor import EntriesCursor, OpenWindow, dump
from airflow_provider_toggl.core.extract.pages import Page, ReportPage, inspect_report
from airflow_provider_toggl.core.extract.windows import Window
from airflow_provider_toggl.core.streams import get_stream

log = logging.getLogger(__name__)

STREAM = get_stream("time_entries")
#: A malformed page is asked for once more: a proxy's hiccup should not fail a night's run.
TRIES = 2
_RANGE_TEXT = re.compile(r"date range\D*(\d+) days", re.IGNORECASE)


@dataclass(frozen=True)
class EntriesOptions:
    """What a run of this stream wants.

    :param workspace_id: the workspace.
    :param run_started: windows read since then (this machine's clock) are done; stays the same over deferrals and
        retries.
    :param beginning: first day of the history; None looks for it: the first year without entries, going back, ends it.
    :param only: read exactly these days, whatever is known of them.
    :param page_size: rows to ask for in a page.
    :param lag: how long a change may take to show in reports.
    :param windows_per_run: how many windows that were read before a run may look at again.
    """

    workspace_id: int
    run_started: datetime
    beginning: date | None = None
    only: Window | None = None
    page_size: int = 1000
    lag: timedelta = timedelta(minutes=5)
    windows_per_run: int = 3


class EntriesReader:
    """Reads one workspace's entries from where a cursor says."""

    def __init__(
        self, session: TogglSession, options: EntriesOptions, cursor: EntriesCursor, clock: Clock | None = None
    ) -> None:
        self._session = session
        self._options = options
        self._clock = clock or SystemClock()
        self.cursor = (
            replace(cursor, page_size=min(cursor.page_size, options.page_size)) if cursor.page_size else cursor
        )
        self._path = STREAM.path.format(workspace_id=options.workspace_id)

    def plan(self) -> list[Window]:
        """Return the windows that are still to be read in this run, as far as can be known beforehand."""
        now = utc(self._clock.now())
        span = self.cursor.span_days
        if self._options.only is not None:
            wanted = windows.split(self._options.only, span)
            return [window for window in wanted if self._is_due(window)]
        beginning = self._beginning()
        today = now.date()
        if beginning is None:
            # Look for it: one window further back than what is known, and so on until one is empty.
            known = self.cursor.coverage[0].first if self.cursor.coverage else today + windows.DAY
            beginning = max(windows.EARLIEST, known - span * windows.DAY + windows.DAY)
        return windows.choose(
            self.cursor.coverage,
            windows.history(beginning, today, span),
            windows.ahead(today, span),
            budget=self._options.windows_per_run,
            run_started=self._options.run_started,
            now=now,
        )

    def pages(self) -> Iterator[Page]:
        """Yield pages until the run is done; the cursor of each says how to go on after it.

        :raises ApiError: what was yielded stays good; nothing is lost by going on later from its cursor.
        """
        while True:
            if self.cursor.open is None:
                due = self.plan()
                if not due:
                    return
                self.cursor = replace(self.cursor, open=self._opened(due[0]))
            page = self._next_page()
            if page is not None:
                yield page

    def _beginning(self) -> date | None:
        """The wanted first day of the history; asking for an earlier one than is known reads what lies between."""
        known, wanted = self.cursor.beginning, self._options.beginning
        return wanted if known is None or (wanted is not None and wanted < known) else known

    def _is_due(self, window: Window) -> bool:
        read_at = windows.read_at_of(self.cursor.coverage, window)
        return read_at is None or read_at <= self._options.run_started

    def _opened(self, window: Window) -> OpenWindow:
        until = None if self._options.only else windows.watermark_of(self.cursor.coverage, window)
        return OpenWindow(window.first, window.last, "date" if until is None else "last_update", until)

    def _next_page(self) -> Page | None:
        """Ask for the next page of the open window; None when the question had to be changed first."""
        opened = self.cursor.open or self._opened(self.plan()[0])
        spent = self._session.spent
        try:
            answer, looked = self._ask_whole(opened)
        except PayloadRefused as error:
            self.cursor = _adapted(self.cursor, error)
            return None
        if _has_moved(opened, looked):
            log.info("Rows moved between two pages of %s; the page before is read again.", opened.window)
            self._keep(_stepped_back(opened, answer.header_int("x-page-size") or looked.rows))
            return None
        opened, done = _advanced(opened, answer, looked, self._options.lag)
        self._close(opened) if done else self._keep(opened)
        return Page(
            stream=STREAM.name,
            body=answer.body,
            rows=looked.rows,
            observed_at=answer.date - self._options.lag,
            watermark=self._watermark(),
            cursor=dump(self.cursor),
            requests=self._session.spent - spent,
            where=f"{opened.window}, {'all' if opened.order == 'date' else 'changes'}",
            share=1.0 if done else _share(opened),
        )

    def _ask_whole(self, opened: OpenWindow) -> tuple[Answer, ReportPage]:
        asked = f"POST {self._path} ({opened.window}, from row {opened.next_row})"
        for attempt in range(1, TRIES + 1):
            answer = self._session.request("POST", self._path, payload=_query(opened, self.cursor.page_size))
            try:
                looked = inspect_report(
                    answer.body,
                    first_row=opened.next_row,
                    next_row=answer.header_int("x-next-row-number"),
                    key="start" if opened.order == "date" else "at",
                    asked=asked,
                )
            except MalformedAnswer as error:
                if attempt == TRIES:
                    raise
                log.warning("%s Asking once more.", error)
            else:
                return answer, looked
        raise MalformedAnswer(f"{asked}: no whole page came.")

    def _keep(self, opened: OpenWindow) -> None:
        self.cursor = replace(self.cursor, open=opened)

    def _close(self, opened: OpenWindow) -> None:
        mark = opened.mark or utc(self._clock.now()) - self._options.lag
        coverage = windows.cover(self.cursor.coverage, opened.window, mark, utc(self._clock.now()))
        beginning = self.cursor.beginning
        if self._options.only is None and beginning is None:
            beginning = self._options.beginning
            today = utc(self._clock.now()).date()
            if beginning is None and opened.rows == 0 and opened.until is None and opened.last <= today + windows.DAY:
                beginning = opened.first
                log.info(
                    "No entries in %s: taken as the time before the first one. Set since to read further back.",
                    opened.window,
                )
        elif self._options.beginning is not None and beginning is not None:
            beginning = min(beginning, self._options.beginning)
        self.cursor = replace(self.cursor, coverage=coverage, open=None, beginning=beginning)

    def _watermark(self) -> datetime | None:
        """The moment up to which the whole history is known: the least of its days'."""
        spans = self.cursor.coverage
        return min(span.watermark for span in spans) if spans else None


def _query(opened: OpenWindow, page_size: int) -> dict[str, Any]:
    query: dict[str, Any] = {
        "start_date": opened.first.isoformat(),
        "end_date": opened.last.isoformat(),
        "order_by": opened.order,
        "order_dir": "ASC" if opened.order == "date" else "DESC",
        "first_row_number": opened.next_row,
        "grouped": False,
        "hide_amounts": False,
        # Left out, Toggl rounds durations by the preferences of whoever owns the token.
        "rounding": 0,
        "rounding_minutes": 0,
    }
    if page_size:
        query["page_size"] = page_size
    return query


def _adapted(cursor: EntriesCursor, error: PayloadRefused) -> EntriesCursor:
    """Return a cursor that asks for less where Toggl refused a page size or a range, both undocumented.

    :raises PayloadRefused: it was refused for something else.
    """
    if "page_size" in error.text and cursor.page_size:
        log.warning("Toggl refuses pages of %d (%s): its own size is used from now on.", cursor.page_size, error.text)
        return replace(cursor, page_size=0)
    found = _RANGE_TEXT.search(error.text)
    if found and 0 < int(found.group(1)) < cursor.span_days:
        log.warning("Toggl refuses a range of %d days (%s): shorter ones from now on.", cursor.span_days, error.text)
        return replace(cursor, span_days=int(found.group(1)), open=None)
    raise error


def _has_moved(opened: OpenWindow, looked: ReportPage) -> bool:
    """Whether rows that were not read yet may have moved up, before the row that was asked for.

    A page must begin with the entry that the one before announced, or with one that was read already (rows were added
    before it). Anything else: an entry that stood before it is gone, and one between may have been passed over.
    """
    if opened.next_id is None or looked.first_id is None or opened.stepped == opened.next_row:
        return False
    if looked.first_id == opened.next_id:
        return False
    first, last = looked.first_key, opened.last_key
    if first is None or last is None:
        return True
    return not (first < last if opened.order == "date" else first > last)


def _stepped_back(opened: OpenWindow, page_size: int) -> OpenWindow:
    back = max(1, opened.next_row - max(1, page_size))
    return replace(opened, next_row=back, next_id=None, last_key=None, stepped=opened.next_row)


def _advanced(opened: OpenWindow, answer: Answer, looked: ReportPage, lag: timedelta) -> tuple[OpenWindow, bool]:
    """Return the window after a page, and whether it is read to its end."""
    mark = opened.mark or answer.date - lag
    next_row = answer.header_int("x-next-row-number")
    last_key = looked.last_key or opened.last_key
    until = opened.until
    if opened.order == "last_update" and until is not None and not looked.is_ordered(descending=True):
        log.warning("Toggl did not keep the order by last update in %s: all of it is read.", opened.window)
        until = None
    known = until is not None and looked.last_key is not None and looked.last_key < until
    advanced = replace(
        opened,
        mark=mark,
        until=until,
        next_row=next_row or opened.next_row,
        next_id=answer.header_int("x-next-id"),
        last_key=last_key,
        rows=opened.rows + looked.rows,
    )
    return advanced, next_row is None or known


def _share(opened: OpenWindow) -> float | None:
    """How much of a window is read, by the date of the last row; None where the order is another."""
    if opened.order != "date" or opened.last_key is None:
        return None
    return min(1.0, max(0.0, ((opened.last_key.date() - opened.first).days + 1) / opened.window.days))
