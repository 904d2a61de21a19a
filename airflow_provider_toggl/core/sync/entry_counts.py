"""How many time entries some days have, for fewer requests than reading them.

No report tells a count. A summary with the ids of its entries has all of them in one answer
(https://engineering.toggl.com/docs/reports/summary_reports), a year in one request. Where ids are not given, its
seconds divided by the mean of a page's entries are an estimate, for one request more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from airflow_provider_toggl.core.client.responses import Answer
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.errors import MalformedAnswer, PayloadRefused
from airflow_provider_toggl.core.extract import windows
from airflow_provider_toggl.core.extract.cursor import OpenWindow
from airflow_provider_toggl.core.extract.entries import build_query, refused_span
from airflow_provider_toggl.core.extract.windows import Window

_SUMMARY = "/reports/api/v3/workspace/{workspace_id}/summary/time_entries"
_SEARCH = "/reports/api/v3/workspace/{workspace_id}/search/time_entries"


class _Part(msgspec.Struct, gc=False):
    ids: list[int] | None = None
    seconds: int = 0


class _Group(msgspec.Struct, gc=False):
    id: int | None = None
    sub_groups: list[_Part] | None = None


class _Summary(msgspec.Struct):
    groups: list[_Group] | None = None


class _Entry(msgspec.Struct, gc=False):
    seconds: int = 0


class _Row(msgspec.Struct, gc=False):
    time_entries: list[_Entry] = []


_SUMMARIES = msgspec.json.Decoder(_Summary)
_ROWS = msgspec.json.Decoder(list[_Row] | None)


@dataclass(frozen=True)
class EntryCount:
    """How many entries some days have.

    :param exact: whether they were counted; otherwise they are estimated.
    :param projects: projects that have entries then.
    """

    rows: int
    exact: bool = True
    projects: frozenset[int] = field(default_factory=frozenset)


class EntriesCounter:
    """Counts a workspace's entries: one request for a year, two where Toggl gives no ids, and one in all for the page.

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
        """How many days a report may span, learned from a refusal."""
        return self._span_days

    def count(self, window: Window) -> EntryCount:
        """Return how many entries the days of a window have.

        :raises ApiError: Toggl does not answer, or not as it should.
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
        """Count what one report spans; None when Toggl said that it must be less."""
        try:
            answer = self._ask(_SUMMARY, _summary_query(window))
        except PayloadRefused as error:
            span = refused_span(error.text, self._span_days)
            if span is None:
                raise
            self._span_days = span
            return None
        groups = _decode(answer, _SUMMARIES).groups or []
        parts = [part for group in groups for part in group.sub_groups or []]
        rows = sum(len(part.ids or ()) for part in parts)
        projects = frozenset(group.id for group in groups if group.id is not None)
        is_exact = all(part.ids is not None for part in parts)
        if parts and (not is_exact or not self._is_size_known):
            sample, is_all = self._sample(window)
            if not is_exact and is_all:
                return EntryCount(len(sample), exact=True, projects=projects)
            if not is_exact:
                return EntryCount(
                    _estimate(sum(part.seconds for part in parts), sample), exact=False, projects=projects
                )
        return EntryCount(rows, projects=projects)

    def _sample(self, window: Window) -> tuple[list[int], bool]:
        """Return the seconds of a page's entries, and whether there are no more; learn what Toggl calls a page."""
        opened = OpenWindow(window.first, window.last, "date")
        answer = self._ask(_SEARCH, build_query(opened, self.page_size))
        rows = _decode(answer, _ROWS) or []
        following = answer.header_int("x-next-row-number")
        told = answer.header_int("x-page-size") or (following - 1 if following else None)
        if told and told > 0:
            self.page_size = min(self.page_size, told)
        self._is_size_known = True
        return [entry.seconds for row in rows for entry in row.time_entries], following is None

    def _ask(self, path: str, query: dict[str, Any]) -> Answer:
        return self._session.request("POST", path.format(workspace_id=self._workspace_id), payload=query)


def _summary_query(window: Window) -> dict[str, Any]:
    return {
        "start_date": window.first.isoformat(),
        "end_date": window.last.isoformat(),
        "grouping": "projects",
        "sub_grouping": "users",
        "include_time_entry_ids": True,
        "rounding": 0,
        "rounding_minutes": 0,
    }


def _estimate(seconds: int, sample: list[int]) -> int:
    """Return how many entries have so many seconds; running ones are in no sum."""
    known = [one for one in sample if one >= 0]
    mean = sum(known) / len(known) if known else 0.0
    return max(len(sample), round(seconds / mean)) if mean > 0 else len(sample)


def _decode(answer: Answer, decoder: msgspec.json.Decoder[Any]) -> Any:
    try:
        return decoder.decode(answer.body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise MalformedAnswer(
            f"{answer.method} {answer.path}: the answer has another shape than documented ({error}). Nothing was "
            "changed. Try again; if it stays, look for a newer release.",
            status=answer.status,
        ) from None
