"""Projects, clients, tags, … by the lists of v9: whole, page by page, or what changed since.

A list that is read whole tells by what it lacks what is gone. One that is asked for changes says itself what was
deleted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from airflow_provider_toggl.core.api.answers import Answer
from airflow_provider_toggl.core.api.session import TogglSession
from airflow_provider_toggl.core.clock import Clock, SystemClock, utc
from airflow_provider_toggl.core.errors import MalformedAnswer, PayloadRefused
from airflow_provider_toggl.core.extract.cursor import ListCursor, OpenList, dump
from airflow_provider_toggl.core.extract.pages import Page, count_rows, is_last
from airflow_provider_toggl.core.streams import Stream

log = logging.getLogger(__name__)

#: New objects take Toggl seconds to show everywhere (https://engineering.toggl.com/docs/#eventual-consistency).
OVERLAP = timedelta(seconds=60)
#: ``since`` reaches about three months back (observed); what is older is read whole.
SINCE_REACHES = timedelta(days=80)
MOST_PAGES = 10_000
TRIES = 2


@dataclass(frozen=True)
class ListOptions:
    """What a run of this stream wants.

    :param run_started: a list read since then (this machine's clock) is done; stays the same over deferrals and
        retries.
    :param incremental: False reads it whole even where changes could be asked for.
    """

    workspace_id: int
    run_started: datetime
    incremental: bool = True


class ListReader:
    """Reads one list of one workspace from where a cursor says."""

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
        self.cursor = cursor

    def pages(self) -> Iterator[Page]:
        """Yield pages until the list is read; the cursor of each says how to go on after it.

        :raises ApiError: what was yielded stays good; nothing is lost by going on later from its cursor.
        """
        done = self.cursor.read_at is not None and self.cursor.read_at > self._options.run_started
        if done and self.cursor.open is None:
            return
        for _ in range(MOST_PAGES):
            yield self._next_page()
            if self.cursor.open is None:
                return
        raise MalformedAnswer(f"The list of {self._stream.name} has no end: {MOST_PAGES} pages were read.")

    def _since(self) -> datetime | None:
        """From when changes are wanted, None for all of the list."""
        asks = self._stream.listing == "since" and self._options.incremental
        if not asks or self._watermark is None or utc(self._clock.now()) - self._watermark > SINCE_REACHES:
            return None
        return self._watermark

    def _next_page(self) -> Page:
        spent = self._session.spent
        path = self._path()
        opened = self.cursor.open
        page, since = (opened.page, opened.since) if opened else (1, self._since())
        answer, rows, total, since = self._ask(path, page, since)
        mark = opened.mark if opened else answer.date
        last = self._stream.per_page == 0 or is_last(
            rows,
            page=page,
            asked_size=self._stream.per_page,
            told_size=answer.header_int("x-page-size"),
            total=total,
        )
        if last:
            self._watermark = max(mark - OVERLAP, self._watermark or mark - OVERLAP)
            self.cursor = replace(self.cursor, open=None, read_at=utc(self._clock.now()))
        else:
            self.cursor = replace(self.cursor, open=OpenList(page + 1, mark, since))
        return Page(
            stream=self._stream.name,
            body=answer.body,
            rows=rows,
            observed_at=answer.date,
            watermark=self._watermark,
            cursor=dump(self.cursor),
            requests=self._session.spent - spent,
            complete_at=mark if last and since is None else None,
            where="all" if since is None else f"changes since {since:%Y-%m-%d %H:%M:%S} UTC",
            share=1.0 if last else (None if total is None else min(1.0, page * self._stream.per_page / max(1, total))),
        )

    def _path(self) -> str:
        workspace = self._options.workspace_id
        organization = self._session.organization_of(workspace) if "{organization_id}" in self._stream.path else 0
        return self._stream.path.format(workspace_id=workspace, organization_id=organization)

    def _ask(self, path: str, page: int, since: datetime | None) -> tuple[Answer, int, int | None, datetime | None]:
        params: dict[str, str | int] = dict(self._stream.params)
        if self._stream.per_page:
            params |= {"page": page, "per_page": self._stream.per_page}
        if since is not None:
            params["since"] = int(since.timestamp())
        for attempt in range(1, TRIES + 1):
            try:
                answer = self._session.request("GET", path, params=params)
                rows, total = count_rows(answer.body, f"GET {path}")
            except PayloadRefused as error:
                if "since" not in params or "since" not in error.text.lower():
                    raise
                log.warning("%s All of %s is read instead.", error, self._stream.name)
                params.pop("since")
                since = None
            except MalformedAnswer as error:
                if attempt == TRIES:
                    raise
                log.warning("%s Asking once more.", error)
            else:
                return answer, rows, total, since
        raise MalformedAnswer(f"GET {path}: no whole page came.")
