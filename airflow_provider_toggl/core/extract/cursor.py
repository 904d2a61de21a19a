"""How far a stream is read, as the JSON that is kept beside its rows. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Literal, TypeVar

import msgspec

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.extract.windows import SPAN_DAYS, Coverage, Window

PageOrder = Literal["date", "last_update"]


@dataclass(frozen=True)
class Attempt:
    """The attempt of a task that reads a stream, kept in the cursor so that its retries continue and others do not.

    :param key: the same for all retries of an attempt, and another one for every other task, run, map index, and after
        a clear; empty where nothing can be continued.
    :param try_number: the last try that read.
    :param started: when the attempt began, by this machine's clock: what it has read since then is done.
    """

    key: str
    try_number: int
    started: datetime

    def continue_from(self, kept: Attempt | None, *, is_resumed: bool) -> Attempt:
        """Return this attempt with the start that the cursor has of it, if that is from an earlier part of it.

        :param kept: the attempt in the cursor.
        :param is_resumed: this is the same try after a deferral.
        """
        if kept is None or not self.key or kept.key != self.key:
            return self
        is_later = is_resumed or self.try_number > kept.try_number
        return replace(self, started=kept.started) if is_later else self


@dataclass(frozen=True)
class OpenWindow:
    """A window that is being read, page by page.

    :param order: ``date`` reads all of it, ``last_update`` from the newest change back to ``until``.
    :param until: changes before this moment are known already; None when all of it is wanted.
    :param mark: the watermark that its days have once it is read: when reading began, by Toggl's clock, less the lag.
    :param next_row: number of the row to ask for next.
    :param next_id: id that Toggl said comes next.
    :param last_key: the order's key of the last row that was landed.
    :param last_id: its id.
    :param rows: rows landed so far.
    :param opened_at: when its reading began, by this machine's clock.
    :param steps: how many times in a row earlier rows were asked for again, because rows had moved.
    :param stepped: the row from which they were last.
    """

    first: date
    last: date
    order: PageOrder
    until: datetime | None = None
    mark: datetime | None = None
    next_row: int = 1
    next_id: int | None = None
    last_key: datetime | None = None
    last_id: int | None = None
    rows: int = 0
    opened_at: datetime | None = None
    steps: int = 0
    stepped: int | None = None

    @property
    def window(self) -> Window:
        """Its days."""
        return Window(self.first, self.last)


@dataclass(frozen=True)
class EntriesCursor:
    """How far time entries are read.

    :param beginning: the first day of the history, None while it is being looked for.
    :param span_days: days that a report may span.
    :param page_size: most rows that a page is asked for, learned from a refusal; 0 leaves it to Toggl, None when Toggl
        never refused.
    :param attempt: the attempt that read last.
    """

    version: int = 1
    beginning: date | None = None
    coverage: Coverage = ()
    open: OpenWindow | None = None
    span_days: int = SPAN_DAYS
    page_size: int | None = None
    attempt: Attempt | None = None


@dataclass(frozen=True)
class OpenList:
    """A list that is being read, page by page.

    :param opened_at: when its reading began, by this machine's clock.
    :param page: number of the page to ask for next.
    :param mark: when its reading began, by Toggl's clock; None before the first answer.
    :param since: only changes since then are asked for, None when all of it is.
    :param size: rows of a full page, as the first one showed.
    :param rows: rows read so far.
    :param rounds: how often it was begun anew, because it had changed meanwhile.
    :param proof: all pages are read, and it is left to ask whether anything changed meanwhile.
    """

    opened_at: datetime
    page: int = 1
    mark: datetime | None = None
    since: datetime | None = None
    size: int | None = None
    rows: int = 0
    rounds: int = 0
    proof: bool = False


@dataclass(frozen=True)
class ListCursor:
    """How far a list of projects, clients, … is read.

    :param read_at: when the last reading that came to its end began, by this machine's clock.
    :param attempt: the attempt that read last.
    """

    version: int = 1
    open: OpenList | None = None
    read_at: datetime | None = None
    attempt: Attempt | None = None


_Cursor = TypeVar("_Cursor", EntriesCursor, ListCursor)


def load_entries(text: str | None) -> EntriesCursor:
    """Return a cursor from its JSON, a new one where there is none."""
    return _load(text, EntriesCursor) if text else EntriesCursor()


def load_list(text: str | None) -> ListCursor:
    """Return a cursor from its JSON, a new one where there is none."""
    return _load(text, ListCursor) if text else ListCursor()


def dump(cursor: EntriesCursor | ListCursor) -> str:
    """Return a cursor as JSON."""
    return msgspec.json.encode(cursor).decode()


def _load(text: str, kind: type[_Cursor]) -> _Cursor:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as error:
        raise ConfigurationError(
            f"The cursor kept in sync_state cannot be read ({error}). It was changed by hand, or written by a later "
            "version; "
            "deleting the stream's row there makes the next run a first load, which repeats no row."
        ) from None
