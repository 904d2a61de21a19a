"""Projects, clients, tags, … by the lists of v9: whole, page by page, or what changed since.

A list that is read whole tells by what it lacks what is gone. One that is asked for changes says itself what was
deleted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from airflow_provider_toggl.core.client.responses import TogglResponse
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.clock import Clock, SystemClock, utc
from airflow_provider_toggl.core.errors import MalformedAnswer, PayloadRefused
from airflow_provider_toggl.core.extract.cursor import ListCursor, OpenList, dump
from airflow_provider_toggl.core.extract.pages import Page, count_rows, is_last
from airflow_provider_toggl.core.streams import Stream
from airflow_provider_toggl.core.wording import plural

log = logging.getLogger(__name__)

#: New objects take Toggl seconds to show everywhere (https://engineering.toggl.com/docs/#eventual-consistency).
OVERLAP = timedelta(seconds=60)
#: ``since`` reaches about three months back (observed); what is older is read whole.
SINCE_REACHES = timedelta(days=80)
MOST_PAGES = 10_000
TRIES = 2
#: Times that a list is begun anew because it changes while its pages are read.
MOST_ROUNDS = 3


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
        self._lack = ""
        self.cursor = cursor

    def pages(self) -> Iterator[Page]:
        """Yield pages until the list is read; the cursor of each says how to go on after it.

        :raises ApiError: what was yielded stays good; nothing is lost by going on later from its cursor.
        """
        for _ in range(MOST_PAGES):
            if self.cursor.open is None and self._is_done():
                return
            yield self._next_page()
            if self._lack:
                raise MalformedAnswer(self._lack)
        raise MalformedAnswer(f"The list of {self._stream.name} has no end: {MOST_PAGES} pages were read.")

    def _is_done(self) -> bool:
        return self.cursor.read_at is not None and self.cursor.read_at >= self._options.run_started

    def _opened(self) -> OpenList:
        # Not before the run started, whatever this machine's clock says: else what this run reads were never done.
        return OpenList(max(utc(self._clock.now()), self._options.run_started), since=self._since())

    def _since(self) -> datetime | None:
        """From when changes are wanted, None for all of the list."""
        asks = self._stream.listing == "since" and self._options.incremental
        if not asks or self._watermark is None or utc(self._clock.now()) - self._watermark > SINCE_REACHES:
            return None
        return self._watermark

    def _next_page(self) -> Page:
        spent = self._session.spent
        opened = self.cursor.open or self._opened()
        asked = opened.mark if opened.proof else opened.since
        answer, rows, total, since = self._ask(self._path(), opened.page, asked)
        has_changed = opened.proof and rows > 0 and since is not None
        if not opened.proof:
            opened = replace(opened, mark=opened.mark or answer.date, since=since)
            following = self._following(opened, rows, total, answer.header_int("x-page-size"))
        else:
            following = self._begun_anew(opened) if has_changed else None
        if following is None:
            self._close(opened)
        else:
            self.cursor = replace(self.cursor, open=following)
        done = following is None
        return Page(
            stream=self._stream.name,
            body=answer.body,
            rows=rows,
            observed_at=answer.date,
            watermark=self._watermark,
            cursor=dump(self.cursor),
            requests=self._session.spent - spent,
            # What changed to the last is not known to be complete.
            complete_at=opened.mark if done and opened.since is None and not has_changed else None,
            where="all" if since is None else f"changes since {since:%Y-%m-%d %H:%M:%S} UTC",
            share=1.0 if done else (None if total is None else min(1.0, (opened.rows + rows) / max(1, total))),
        )

    def _following(self, opened: OpenList, rows: int, total: int | None, told_size: int | None) -> OpenList | None:
        """Return what is left to ask after a page, None when the list is read.

        :param total: rows of the whole list, where told.
        """
        if self._stream.per_page == 0:
            return None
        # Where more follow than came, the page was a full one, however few were asked for.
        size = opened.size or told_size or (rows if total is not None and rows < total else None)
        read = replace(opened, page=opened.page + 1, size=size, rows=opened.rows + rows)
        if not is_last(rows, page=opened.page, asked_size=self._stream.per_page, told_size=size, total=total):
            return read
        if total is not None and read.rows < total:
            following = self._begun_anew(opened)
            if following is None:
                self._lack = (
                    f"The list of {self._stream.name} has {plural(read.rows, 'row')} and says that it has {total:,}. "
                    "What it has is landed; the next run reads it again."
                )
            return following or OpenList(opened.opened_at, since=opened.since)
        # Pages are numbered: where a row was deleted or renamed between two of them, others moved past the border.
        return replace(read, proof=True, page=1) if opened.page > 1 and self._stream.listing == "since" else None

    def _begun_anew(self, opened: OpenList) -> OpenList | None:
        """Return the list from its start, None when that was done too often already."""
        if opened.rounds >= MOST_ROUNDS:
            return None
        log.info("The list of %s changed while its pages were read: it is read again.", self._stream.name)
        return OpenList(opened.opened_at, since=opened.since, rounds=opened.rounds + 1)

    def _close(self, opened: OpenList) -> None:
        if opened.mark is not None:
            self._watermark = max(opened.mark - OVERLAP, self._watermark or opened.mark - OVERLAP)
        self.cursor = replace(self.cursor, open=None, read_at=opened.opened_at)

    def _path(self) -> str:
        workspace = self._options.workspace_id
        organization = self._session.organization_of(workspace) if "{organization_id}" in self._stream.path else 0
        return self._stream.path.format(workspace_id=workspace, organization_id=organization)

    def _ask(
        self, path: str, page: int, since: datetime | None
    ) -> tuple[TogglResponse, int, int | None, datetime | None]:
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
