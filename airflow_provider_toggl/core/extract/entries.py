"""Read a workspace's time entries from the detailed report: everything at first, then what changed.

A day that was never read is read as a whole, in order of date. A day that was read before is requested in order of the
last update, newest first, until changes come that are loaded already. So an edit made today of an entry of last year is
on the first page (https://engineering.toggl.com/docs/reports/detailed_reports).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from airflow_provider_toggl.core.client.responses import TogglResponse
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.clock import Clock, SystemClock, utc
from airflow_provider_toggl.core.errors import MalformedAnswer, PayloadRefused
from airflow_provider_toggl.core.extract import windows
from airflow_provider_toggl.core.extract.cursor import EntriesCursor, OpenWindow, PageOrder, dump
from airflow_provider_toggl.core.extract.pages import Page, ReportPage, inspect_report, retry_malformed
from airflow_provider_toggl.core.extract.windows import Window
from airflow_provider_toggl.core.streams import get_stream
from airflow_provider_toggl.core.wording import plural

log = logging.getLogger(__name__)

STREAM = get_stream("time_entries")
_RANGE_TEXT = re.compile(r"date range\D*(\d+) days", re.IGNORECASE)


@dataclass(frozen=True)
class EntriesOptions:
    """Which entries a run reads.

    :param run_started: windows read since then (by this machine's clock) are done; the same over deferrals and retries.
    :param beginning: first day of the history; without it, the history ends at the first year without entries.
    :param only: read exactly these days, also where they were read before.
    :param page_size: rows to ask for in a page.
    :param lag: how long a change may take to show in reports.
    :param windows_per_run: how many windows a run may read that were read before.
    :param only_changes: of the days of ``only`` that were read before, read only what changed since.
    :param overlap: how long before the watermark to look for changes.
    :param filters: what else the report is asked for, such as ``{"user_ids": [7]}``. Only for days that are read as a
        whole, because coverage speaks of all entries of a day.
    """

    workspace_id: int
    run_started: datetime
    beginning: date | None = None
    only: Window | None = None
    page_size: int = 1000
    lag: timedelta = timedelta(minutes=5)
    windows_per_run: int = 3
    only_changes: bool = False
    overlap: timedelta = timedelta(0)
    filters: Mapping[str, Any] = field(default_factory=dict)


class EntriesReader:
    """Reads one workspace's entries, beginning at a cursor.

    :param watermark: the stream's watermark after an earlier run; it never moves back.
    """

    def __init__(
        self,
        session: TogglSession,
        options: EntriesOptions,
        cursor: EntriesCursor,
        clock: Clock | None = None,
        *,
        watermark: datetime | None = None,
    ) -> None:
        self._reported = watermark
        self._session = session
        self._options = options
        self._clock = clock or SystemClock()
        self.cursor = cursor
        self._path = STREAM.path.format(workspace_id=options.workspace_id)

    def plan(self) -> list[Window]:
        """Return the windows that this run still has to read, as far as that is known beforehand."""
        now = utc(self._clock.now())
        span = self.cursor.span_days
        if self._options.only is not None:
            wanted = windows.split(self._options.only, span)
            coverage, started = self.cursor.coverage, self._options.run_started
            unread = [gap for w in wanted for gap in windows.gaps(coverage, w)] if self._options.only_changes else []
            passed = [w for w in wanted if windows.gaps(coverage, w)] if unread else []
            return unread + [w for w in wanted if w not in passed and not windows.is_done(coverage, w, started)]
        beginning = self._beginning()
        today = now.date()
        if beginning is None:
            # Find it: read one window further back than what is known, until one is empty.
            known = self.cursor.coverage[0].first if self.cursor.coverage else today + 2 * windows.DAY
            beginning = max(windows.EARLIEST, known - span * windows.DAY)
        return windows.choose(
            self.cursor.coverage,
            windows.history(beginning, today, span),
            windows.ahead(today, span),
            budget=self._options.windows_per_run,
            run_started=self._options.run_started,
            now=now,
        )

    def pages(self) -> Iterator[Page]:
        """Yield pages until the run is done; the cursor of each page says how to go on after it.

        :raises ApiError: pages that were yielded stay valid, and a later run can go on from the last one's cursor.
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
        """Return the first day of the history: the known one, or the wanted one where that is earlier."""
        known, wanted = self.cursor.beginning, self._options.beginning
        return wanted if known is None or (wanted is not None and wanted < known) else known

    def _opened(self, window: Window) -> OpenWindow:
        is_whole = self._options.only is not None and not self._options.only_changes
        until = None if is_whole else windows.watermark_of(self.cursor.coverage, window)
        if until is not None:
            until -= self._options.overlap
        # Not before the run started, even if this machine's clock moved back: else this run would never be done.
        opened_at = max(utc(self._clock.now()), self._options.run_started)
        order: PageOrder = "date" if until is None else "last_update"
        return OpenWindow(window.first, window.last, order, until, opened_at=opened_at)

    def _next_page(self) -> Page | None:
        """Return the next page of the open window; None where the request must be changed first."""
        opened = self.cursor.open or self._opened(self.plan()[0])
        spent = self._session.spent
        try:
            answer, inspected = retry_malformed(lambda: self._ask(opened))
        except PayloadRefused as error:
            self.cursor = adapt(self.cursor, error, self._page_size())
            return None
        if not _follows(opened, inspected):
            log.info(
                "Rows of %s were removed before row %d: reading some rows before it again.",
                opened.window,
                opened.next_row,
            )
            self._keep(_stepped_back(opened, inspected, answer.header_int("x-page-size") or inspected.rows))
            return None
        opened, done = _advanced(opened, answer, inspected, self._options.lag)
        self._close(opened) if done else self._keep(opened)
        return Page(
            stream=STREAM.name,
            body=answer.body,
            rows=inspected.rows,
            observed_at=answer.date - self._options.lag,
            watermark=self._watermark(),
            cursor=dump(self.cursor),
            requests=self._session.spent - spent,
            where=f"{opened.window}, {'all' if opened.order == 'date' else 'changes'}",
            share=1.0 if done else _share(opened),
            known_before=opened.until,
        )

    def _ask(self, opened: OpenWindow) -> tuple[TogglResponse, ReportPage]:
        query = build_query(opened, self._page_size()) | dict(self._options.filters)
        answer = self._session.request("POST", self._path, payload=query)
        inspected = inspect_report(
            answer.body,
            first_row=opened.next_row,
            next_row=answer.header_int("x-next-row-number"),
            key="start" if opened.order == "date" else "at",
            asked=f"POST {self._path} ({opened.window}, from row {opened.next_row})",
            anchor=opened.last_id,
        )
        return answer, inspected

    def _page_size(self) -> int:
        most = self.cursor.page_size
        return self._options.page_size if most is None else min(most, self._options.page_size)

    def _keep(self, opened: OpenWindow) -> None:
        self.cursor = replace(self.cursor, open=opened)

    def _close(self, opened: OpenWindow) -> None:
        mark = opened.mark or utc(self._clock.now()) - self._options.lag
        # Changes after reading began are for the next run, also where an earlier run began to read the window.
        read_at = opened.opened_at or self._options.run_started
        coverage = windows.cover(self.cursor.coverage, opened.window, mark, read_at)
        beginning = self._beginning()
        if beginning is None and self._options.only is None and self._is_before_the_first(opened):
            beginning = opened.first
            log.info("No entries in %s, so the history begins there. Set since to load earlier entries.", opened.window)
        self.cursor = replace(self.cursor, coverage=coverage, open=None, beginning=beginning)

    def _is_before_the_first(self, opened: OpenWindow) -> bool:
        """Whether no entries are before a window: it is a whole year without any, and the oldest one that was read."""
        if opened.first == windows.EARLIEST:
            return True
        # Windows move with today, so what is left of a year may be one day shorter.
        is_year = opened.window.days >= self.cursor.span_days - 1
        return is_year and opened.rows == 0 and all(opened.first < span.first for span in self.cursor.coverage)

    def _watermark(self) -> datetime | None:
        """Return the stream's watermark; None while some of its days were never read.

        It is that of the newest window, which every run reads. Older windows take turns, and planned days are read once
        a day. Their watermarks are older by design, and would make a stream look stale that is loaded every hour.
        """
        wanted = self._options.only
        if wanted is not None:
            return windows.watermark_of(self.cursor.coverage, wanted)
        beginning = self._beginning()
        if beginning is None:
            return None
        today = utc(self._clock.now()).date()
        # A first load reads the planned days last, and all of them at once: so the first of them is enough.
        if windows.gaps(self.cursor.coverage, Window(beginning, today + 2 * windows.DAY)):
            return None
        newest = windows.watermark_of(self.cursor.coverage, windows.history(beginning, today, self.cursor.span_days)[0])
        # Tomorrow was a planned day until midnight, and its watermark may be older than the one of the run before.
        known = [moment for moment in (newest, self._reported) if moment is not None]
        return max(known, default=None)


def build_query(opened: OpenWindow, page_size: int) -> dict[str, Any]:
    """Return the body of a request for a window's next page; a page size of 0 leaves the size to Toggl."""
    query: dict[str, Any] = {
        "start_date": opened.first.isoformat(),
        "end_date": opened.last.isoformat(),
        "order_by": opened.order,
        "order_dir": "ASC" if opened.order == "date" else "DESC",
        "first_row_number": opened.next_row,
        "grouped": False,
        "hide_amounts": False,
        # Without these, Toggl rounds durations by the preferences of the token's owner.
        "rounding": 0,
        "rounding_minutes": 0,
    }
    if page_size:
        query["page_size"] = page_size
    return query


def adapt(cursor: EntriesCursor, error: PayloadRefused, asked: int) -> EntriesCursor:
    """Return a cursor with a smaller page or a shorter span after Toggl refused one; its limits are not documented.

    :raises PayloadRefused: Toggl refused something else.
    """
    if "page_size" in error.text and cursor.page_size != 0:
        size = _largest_page(error.text, asked)
        log.warning(
            "Toggl refuses pages of %d rows (%s). The page size is %s from now on.",
            asked,
            error.text,
            size or "left to Toggl",
        )
        return replace(cursor, page_size=size)
    span = refused_span(error.text, cursor.span_days)
    if span is not None:
        days = plural(cursor.span_days, "day")
        log.warning("Toggl refuses a range of %s (%s). Ranges are shorter from now on.", days, error.text)
        return replace(cursor, span_days=span, open=None)
    raise error


def refused_span(text: str, span_days: int) -> int | None:
    """Return the days that a report may span by the text of a refusal; None where something else was refused."""
    found = _RANGE_TEXT.search(text)
    return int(found.group(1)) if found and 0 < int(found.group(1)) < span_days else None


def _largest_page(text: str, asked: int) -> int:
    """Return the largest page size that a refusal names; 0 without one."""
    largest = max(map(int, re.findall(r"\d+", text)), default=0)
    return largest if largest < asked else 0


def _follows(opened: OpenWindow, inspected: ReportPage) -> bool:
    """Whether a page continues what was read before it, without a row skipped in between.

    It does if it begins with the entry that the page before announced, or with one that was read already (rows were
    added before it), or has the last read entry unchanged. Otherwise rows before it were removed, and others have moved
    up past the requested row.
    """
    if opened.next_row == 1 or opened.next_id is None or inspected.first_id == opened.next_id:
        return True
    first, last = inspected.first_key, opened.last_key
    if last is not None and inspected.anchor_key == last:
        return True
    if first is None or last is None:
        return False
    return first < last if opened.order == "date" else first > last


def _stepped_back(opened: OpenWindow, inspected: ReportPage, page_size: int) -> OpenWindow:
    """Return the window some rows back: half a page, and twice as far each time that this is not far enough.

    :raises MalformedAnswer: Toggl announced more rows twice and then gave none.
    """
    if not inspected.rows and opened.stepped == opened.next_row and not opened.steps:
        raise MalformedAnswer(
            f"Toggl announces more entries of {opened.window} from row {opened.next_row} on, and then gives none. Rows "
            "loaded before stay, and the next run asks again."
        )
    back = max(1, page_size // 2) * 2**opened.steps
    stepped = opened.stepped if opened.steps else opened.next_row
    return replace(opened, next_row=max(1, opened.next_row - back), steps=opened.steps + 1, stepped=stepped)


def _advanced(
    opened: OpenWindow, answer: TogglResponse, inspected: ReportPage, lag: timedelta
) -> tuple[OpenWindow, bool]:
    """Return the window after a page, and whether all of it is read."""
    mark = opened.mark or answer.date - lag
    next_row = answer.header_int("x-next-row-number")
    last_key = inspected.last_key or opened.last_key
    until = opened.until
    if opened.order == "last_update" and until is not None and not inspected.is_ordered(descending=True):
        log.warning("Toggl did not keep the order by last update in %s: reading all of it.", opened.window)
        until = None
    known = until is not None and inspected.last_key is not None and inspected.last_key < until
    advanced = replace(
        opened,
        mark=mark,
        until=until,
        next_row=next_row or opened.next_row,
        next_id=answer.header_int("x-next-id"),
        last_key=last_key,
        last_id=inspected.last_id or opened.last_id,
        steps=0,
        rows=opened.rows + inspected.rows,
    )
    return advanced, next_row is None or known


def _share(opened: OpenWindow) -> float | None:
    """Return how much of a window is read, by the date of its last row; None in another order."""
    if opened.order != "date" or opened.last_key is None:
        return None
    return min(1.0, max(0.0, ((opened.last_key.date() - opened.first).days + 1) / opened.window.days))
