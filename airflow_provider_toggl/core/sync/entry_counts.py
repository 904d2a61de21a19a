"""Count the time entries of some days for fewer requests than reading them takes.

No report has a count. A summary with the ids of its entries has them all in one answer, a year in one request. Without
ids, its total seconds divided by the mean duration of one page's entries are an estimate, for one more request.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from airflow_provider_toggl.core.client.responses import TogglResponse
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.errors import MalformedAnswer, PayloadRefused
from airflow_provider_toggl.core.extract import windows
from airflow_provider_toggl.core.extract.cursor import OpenWindow
from airflow_provider_toggl.core.extract.entries import STREAM, build_query, refused_span
from airflow_provider_toggl.core.extract.summaries import NO_PROJECT, SUMMARY_PATH, build_summary_query, read_summary
from airflow_provider_toggl.core.extract.windows import Window


class _Entry(msgspec.Struct, gc=False):
    seconds: int = 0


class _Row(msgspec.Struct, gc=False):
    time_entries: list[_Entry] = []


_ROWS = msgspec.json.Decoder(list[_Row] | None)


@dataclass(frozen=True)
class EntryCount:
    """How many entries some days have.

    :param exact: True where they were counted, False where they were estimated.
    :param projects: ids of the projects that have entries on these days.
    """

    rows: int
    exact: bool = True
    projects: frozenset[int] = field(default_factory=frozenset)


class EntriesCounter:
    """Counts a workspace's entries.

    A year takes one request, or two where summaries have no ids. One more request finds out Toggl's page size.

    :param page_size: entries that a load would ask for in a page.
    """

    def __init__(self, session: TogglSession, workspace_id: int, page_size: int) -> None:
        self._session = session
        self._workspace_id = workspace_id
        self._span_days = windows.SPAN_DAYS
        self._is_size_known = False
        self.page_size = page_size

    @property
    def span_days(self) -> int:
        """How many days a report may span; a refusal of Toggl's lowers it."""
        return self._span_days

    def count(self, window: Window) -> EntryCount:
        """Return how many entries the days of a window have.

        :raises ApiError: Toggl did not answer, or not as documented.
        """
        parts = [self._count_part(part) for part in windows.split(window, self._span_days)]
        found = [part for part in parts if part is not None]
        if len(found) < len(parts):
            return self.count(window)
        return EntryCount(
            rows=sum(part.rows for part in found),
            exact=all(part.exact for part in found),
            projects=frozenset().union(*(part.projects for part in found)),
        )

    def _count_part(self, window: Window) -> EntryCount | None:
        """Count the entries of one report's span; return None where Toggl refused it as too long."""
        try:
            answer = self._ask(SUMMARY_PATH, build_summary_query(window))
        except PayloadRefused as error:
            span = refused_span(error.text, self._span_days)
            if span is None:
                raise
            self._span_days = span
            return None
        totals = read_summary(answer.body, f"{answer.method} {answer.path} ({window})")
        projects = frozenset(project for _, project in totals.seconds if project != NO_PROJECT)
        is_exact = totals.ids is not None
        rows = 0 if totals.ids is None else len(totals.ids)
        if totals.seconds and not (is_exact and self._is_size_known):
            sample, is_all = self._sample(window)
            if not is_exact and is_all:
                return EntryCount(len(sample), projects=projects)
            if not is_exact:
                rows = _estimate(sum(totals.seconds.values()), sample)
        return EntryCount(rows, is_exact, projects)

    def _sample(self, window: Window) -> tuple[list[int], bool]:
        """Return the seconds of a page's entries, and whether there are no more; this finds out Toggl's page size."""
        opened = OpenWindow(window.first, window.last, "date")
        answer = self._ask(STREAM.path, build_query(opened, self.page_size))
        try:
            rows = _ROWS.decode(answer.body) or []
        except (msgspec.DecodeError, RecursionError) as error:
            raise MalformedAnswer(
                f"{answer.method} {answer.path} ({window}): the answer is not the documented report ({error}). Nothing "
                "was changed.",
                status=answer.status,
            ) from None
        following = answer.header_int("x-next-row-number")
        size = answer.header_int("x-page-size") or (following - 1 if following else None)
        if size and size > 0:
            self.page_size = min(self.page_size, size)
        self._is_size_known = True
        return [entry.seconds for row in rows for entry in row.time_entries], following is None

    def _ask(self, path: str, query: dict[str, Any]) -> TogglResponse:
        return self._session.request("POST", path.format(workspace_id=self._workspace_id), payload=query)


def _estimate(seconds: int, sample: list[int]) -> int:
    """Return about how many entries have so many seconds; running ones are in no total."""
    known = [one for one in sample if one >= 0]
    mean = sum(known) / len(known) if known else 0.0
    return max(len(sample), round(seconds / mean)) if mean > 0 else len(sample)
