"""Read projects, clients, tags and the like from the lists of API v9: the whole list, or what changed since.

What a complete list lacks was deleted. A list of changes names what was deleted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_toggl.core.client.responses import TogglResponse
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.clock import Clock, SystemClock, utc
from airflow_provider_toggl.core.errors import MalformedAnswer, PayloadRefused
from airflow_provider_toggl.core.extract.cursor import ListCursor, OpenList, dump
from airflow_provider_toggl.core.extract.pages import Page, as_rows, count_rows, is_last, retry_malformed
from airflow_provider_toggl.core.streams import Stream
from airflow_provider_toggl.core.wording import plural

log = logging.getLogger(__name__)

#: A new object may take seconds to show everywhere (https://engineering.toggl.com/docs/#eventual-consistency).
OVERLAP = timedelta(seconds=60)
#: ``since`` reaches about three months back (observed); after a longer time the whole list is read.
SINCE_REACHES = timedelta(days=80)
MAX_PAGES = 10_000
#: How often reading begins again because the list changes meanwhile.
MAX_ROUNDS = 3


@dataclass(frozen=True)
class ListOptions:
    """Which list a run reads.

    :param run_started: a list read since then (by this machine's clock) is done; the same over deferrals and retries.
    :param incremental: False reads the whole list even where Toggl could list the changes.
    """

    workspace_id: int
    run_started: datetime
    incremental: bool = True


class ListReader:
    """Reads one list of one workspace, beginning at a cursor."""

    def __init__(
        self,
        session: TogglSession,
        stream: Stream,
        options: ListOptions,
        cursor: ListCursor,
        *,
        watermark: datetime | None,
        clock: Clock | None = None,
    ) -> None:
        self._session = session
        self._stream = stream
        self._options = options
        self._clock = clock or SystemClock()
        self._watermark = watermark
        self._incomplete = ""
        self._asked_from = session.spent
        self._last_body = b""
        self.cursor = cursor

    def pages(self) -> Iterator[Page]:
        """Yield pages until the list is read; the cursor of each page says how to go on after it.

        :raises ApiError: pages that were yielded stay valid, and a later run can go on from the last one's cursor.
        """
        for _ in range(MAX_PAGES):
            if self.cursor.open is None and self._is_done():
                return
            yield self._next_page()
            if self._incomplete:
                raise MalformedAnswer(self._incomplete)
        raise MalformedAnswer(
            f"The list of {self._stream.name} does not end: {MAX_PAGES:,} pages were read and loaded."
        )

    def skip(self, reason: str) -> Page:
        """Return a page without rows that stores why the list was refused; the table stays as it is.

        :param reason: what the plan or the token lacks.
        """
        is_new = self.cursor.skipped != reason
        log.log(logging.WARNING if is_new else logging.INFO, "Skipped, and asked again at the next run: %s", reason)
        self.cursor = replace(self.cursor, open=None, skipped=reason)
        return self._build_page(b"[]", 0, utc(self._clock.now()), where="all", share=1.0)

    def _build_page(self, body: bytes, rows: int, observed_at: datetime, **more: Any) -> Page:
        """Return a page with the cursor as it is now, and the requests since ``_asked_from``."""
        return Page(
            stream=self._stream.name,
            body=body,
            rows=rows,
            observed_at=observed_at,
            watermark=self._watermark,
            cursor=dump(self.cursor),
            requests=self._session.spent - self._asked_from,
            **more,
        )

    def _is_done(self) -> bool:
        return self.cursor.read_at is not None and self.cursor.read_at >= self._options.run_started

    def _opened(self) -> OpenList:
        # Not before the run started, even if this machine's clock moved back: else this run would never be done.
        return OpenList(max(utc(self._clock.now()), self._options.run_started), since=self._since())

    def _since(self) -> datetime | None:
        """Return since when to ask for changes; None for the whole list."""
        asks = self._stream.listing == "since" and self._options.incremental
        if not asks or self._watermark is None or utc(self._clock.now()) - self._watermark > SINCE_REACHES:
            return None
        return self._watermark

    def _next_page(self) -> Page:
        self._asked_from = self._session.spent
        opened = self.cursor.open or self._opened()
        asked = opened.mark if opened.is_checking else opened.since
        answer, rows, total, since = self._ask(self._path(), opened.page, asked)
        self._check_is_new(answer.body, rows)
        has_changed = opened.is_checking and rows > 0 and since is not None
        if not opened.is_checking:
            opened = replace(opened, mark=opened.mark or answer.date, since=since)
            following = self._following(opened, rows, total, answer.header_int("x-page-size"))
        else:
            following = self._begun_anew(opened) if has_changed else None
        if following is None:
            self._close(opened)
        else:
            self.cursor = replace(self.cursor, open=following, skipped="")
        done = following is None
        return self._build_page(
            answer.body,
            rows,
            answer.date,
            # A list that changed until the last page is not known to be complete.
            complete_at=opened.mark if done and opened.since is None and not has_changed else None,
            where="all" if since is None else f"changes since {since:%Y-%m-%d %H:%M:%S} UTC",
            share=1.0 if done else (None if total is None else min(1.0, (opened.rows + rows) / max(1, total))),
        )

    def _check_is_new(self, body: bytes, rows: int) -> None:
        """Raise if the endpoint gives the same page again, because it has no pages: it would never end."""
        if rows and self._stream.listing == "paged" and body == self._last_body:
            raise MalformedAnswer(
                f"Two pages of {self._stream.name} are the same: the endpoint does not count pages. What was read is "
                "loaded; look for a newer release of this package."
            )
        self._last_body = body

    def _following(self, opened: OpenList, rows: int, total: int | None, sent_size: int | None) -> OpenList | None:
        """Return what is left to read after a page; None where the list is read.

        :param total: rows of the whole list, where Toggl says so.
        :param sent_size: rows of a full page, where Toggl says so.
        """
        if self._stream.per_page == 0:
            return None
        # If more rows follow, this page is a full one, even if more were requested.
        size = opened.size or sent_size or (rows if total is not None and rows < total else None)
        read = replace(opened, page=opened.page + 1, size=size, rows=opened.rows + rows)
        if not is_last(rows, page=opened.page, asked_size=self._stream.per_page, sent_size=size, total=total):
            return read
        if total is not None and read.rows < total:
            following = self._begun_anew(opened)
            if following is None:
                self._incomplete = (
                    f"The list of {self._stream.name} has {plural(read.rows, 'row')}, and Toggl says that it has "
                    f"{total:,}. The rows are loaded; the next run reads the list again."
                )
            return following or OpenList(opened.opened_at, since=opened.since)
        # Pages are numbered: if a row was deleted or renamed meanwhile, others moved to a page that was read already.
        return replace(read, is_checking=True, page=1) if opened.page > 1 and self._stream.listing == "since" else None

    def _begun_anew(self, opened: OpenList) -> OpenList | None:
        """Return the list from its first page; None where that was done too often already."""
        if opened.rounds >= MAX_ROUNDS:
            return None
        log.info("The list of %s changed while its pages were read: reading it again.", self._stream.name)
        return OpenList(opened.opened_at, since=opened.since, rounds=opened.rounds + 1)

    def _close(self, opened: OpenList) -> None:
        if opened.mark is not None:
            self._watermark = max(opened.mark - OVERLAP, self._watermark or opened.mark - OVERLAP)
        self.cursor = replace(self.cursor, open=None, read_at=opened.opened_at, skipped="")

    def _path(self) -> str:
        workspace = self._options.workspace_id
        organization = self._session.organization_of(workspace) if "{organization_id}" in self._stream.path else 0
        return self._stream.path.format(workspace_id=workspace, organization_id=organization)

    def _ask(
        self, path: str, page: int, since: datetime | None
    ) -> tuple[TogglResponse, int, int | None, datetime | None]:
        workspace = self._options.workspace_id
        params: dict[str, str | int] = {
            name: value.format(workspace_id=workspace) for name, value in self._stream.params
        }
        if self._stream.per_page:
            params |= {"page": page, "per_page": self._stream.per_page}
        if since is not None:
            params["since"] = int(since.timestamp())

        def ask() -> tuple[TogglResponse, int, int | None]:
            answer = self._session.request("GET", path, params=params)
            answer = replace(answer, body=as_rows(self._stream, answer.body))
            return answer, *count_rows(answer.body, f"GET {path}")

        try:
            answer, rows, total = retry_malformed(ask)
        except PayloadRefused as error:
            if since is None or "since" not in error.text.lower():
                raise
            log.warning("%s Reading all of %s instead.", error, self._stream.name)
            return self._ask(path, page, None)
        return answer, rows, total, since
