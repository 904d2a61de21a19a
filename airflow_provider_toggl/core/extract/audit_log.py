"""Read the audit log of API v9 by spans of days, the oldest first.

A record never changes. Toggl drops it after a year.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from airflow_provider_toggl.core.extract.cursor import OpenList
from airflow_provider_toggl.core.extract.lists import ListReader
from airflow_provider_toggl.core.extract.pages import Page
from airflow_provider_toggl.core.instants import format_instant

#: Toggl keeps the log for a year (https://support.toggl.com/en/articles/9877445-audit-log).
KEPT = timedelta(days=365)
#: The days of one request. Toggl documents no limit and no pages: one answer is assumed to have a month's records.
SPAN = timedelta(days=31)
#: Requests of a first load, for tests and documentation.
FIRST_REQUESTS = -(-KEPT // SPAN)
#: The last hour is read again by the next run: Toggl does not say how soon a record shows.
LAG = timedelta(hours=1)


class AuditLogReader(ListReader):
    """Reads what happened since the last run; the first run reads all that Toggl keeps."""

    def _next_page(self) -> Page:
        self._asked_from = self._session.spent
        opened = self.cursor.open or self._opened()
        begin = opened.since or opened.opened_at - KEPT
        end = max(begin, min(begin + SPAN, opened.opened_at))
        # Whole seconds: the end is rounded up, so that what happened just before is in it.
        path = f"{self._path()}/{format_instant(begin)}/{format_instant(end + timedelta(seconds=1))}"
        answer, rows, _, _ = self._ask(path, 1, None)
        # The clock that is behind decides, ours or Toggl's.
        opened = replace(opened, mark=opened.mark or min(answer.date, opened.opened_at) - LAG)
        done = end >= opened.opened_at
        if done:
            self._close(opened)
        else:
            self.cursor = replace(self.cursor, open=replace(opened, since=end, rows=opened.rows + rows), skipped="")
        return self._build_page(
            answer.body,
            rows,
            answer.date,
            where=f"{begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC",
            share=1.0 if done else 1 - (opened.opened_at - end) / KEPT,
        )

    def _opened(self) -> OpenList:
        opened = super()._opened()
        known = self._watermark if self._options.incremental else None
        return replace(opened, since=max(known or opened.opened_at - KEPT, opened.opened_at - KEPT))
