"""The cursors of streams: how far each is read, as JSON for ``sync_state``. Pure.

A cursor is stored in the transaction of the rows that it counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Literal, TypeVar

import msgspec

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.extract.windows import SPAN_DAYS, Coverage, Window

PageOrder = Literal["date", "last_update"]


@dataclass(frozen=True)
class Attempt:
    """All tries and deferrals of one task that reads a stream; a retry finds it in the cursor and continues from there.

    :param key: the same for all its tries; different for every other task, run and map index, and after a clear. Empty
        outside an Airflow task.
    :param try_number: the current try; in a stored cursor, the last one that read.
    :param started: when the attempt began, by this machine's clock; what was read since then is done.
    """

    key: str
    try_number: int
    started: datetime

    def continue_from(self, kept: Attempt | None, *, is_resumed: bool) -> Attempt:
        """Return this attempt, with the start of its earlier tries if the cursor has one of them.

        :param kept: the attempt in the cursor.
        :param is_resumed: whether this is the same try after a deferral.
        """
        if kept is None or not self.key or kept.key != self.key:
            return self
        continues = is_resumed or self.try_number > kept.try_number
        return replace(self, started=kept.started) if continues else self


@dataclass(frozen=True)
class OpenWindow:
    """A window that is being read, page by page.

    :param order: ``date`` reads all of it; ``last_update`` reads from the newest change back to ``until``.
    :param until: changes before this moment are loaded already; None where the whole window is read.
    :param mark: the watermark of its days once it is read: when reading began, by Toggl's clock, less the
        lag of reports; None before the first response.
    :param next_row: number of the row to ask for next.
    :param next_id: the id that Toggl announced as the next one.
    :param last_key: of the last loaded row, its ``start`` (order ``date``) or ``at`` (order ``last_update``).
    :param last_id: id of the last loaded row.
    :param rows: rows loaded so far.
    :param opened_at: when reading began, by this machine's clock.
    :param steps: how many times in a row earlier rows were requested again because rows had moved.
    :param stepped: the row from which the first of these steps went back. A second empty response there ends them.
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

    :param beginning: the first day of the history; None while it is unknown.
    :param coverage: how far each day is read.
    :param span_days: days that a report may span.
    :param page_size: the largest page that Toggl accepts, learned from a refusal; 0: send no size; None: none was
        refused yet.
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

    :param opened_at: when reading began, by this machine's clock.
    :param page: number of the page to ask for next.
    :param mark: when reading began, by Toggl's clock; None before the first answer.
    :param since: only changes since then are requested; None where the whole list is.
    :param size: rows of a full page, as the first page showed.
    :param rows: rows read so far.
    :param rounds: how often reading began again because the list had changed meanwhile.
    :param is_checking: all pages are read; the last request finds out whether the list changed meanwhile.
    """

    opened_at: datetime
    page: int = 1
    mark: datetime | None = None
    since: datetime | None = None
    size: int | None = None
    rows: int = 0
    rounds: int = 0
    is_checking: bool = False


@dataclass(frozen=True)
class ListCursor:
    """How far a list of projects, clients or the like is read.

    :param read_at: when the last complete reading began, by this machine's clock.
    :param attempt: the attempt that read last.
    :param skipped: why Toggl refused the list at the last run; empty if it did not.
    """

    version: int = 1
    open: OpenList | None = None
    read_at: datetime | None = None
    attempt: Attempt | None = None
    skipped: str = ""


@dataclass(frozen=True)
class HistoriesCursor:
    """How far the histories of a stream are read.

    :param marks: by ``History.list_name``: all changes before this instant (Toggl's clock) are read.
    :param read_at: when the last complete reading began, by this machine's clock.
    :param attempt: the attempt that read last.
    :param skipped: why Toggl refused the histories at the last run; empty if it did not.
    """

    version: int = 1
    marks: dict[str, datetime] = field(default_factory=dict)
    read_at: datetime | None = None
    attempt: Attempt | None = None
    skipped: str = ""


_Cursor = TypeVar("_Cursor", EntriesCursor, ListCursor, HistoriesCursor)


def dump(cursor: EntriesCursor | ListCursor | HistoriesCursor) -> str:
    """Return the cursor as JSON."""
    return msgspec.json.encode(cursor).decode()


def load(text: str | None, cursor_type: type[_Cursor]) -> _Cursor:
    """Return the cursor from its JSON; a new one without text.

    :raises ConfigurationError: the text is no such cursor.
    """
    if not text:
        return cursor_type()
    try:
        return msgspec.json.decode(text, type=cursor_type)
    except msgspec.DecodeError as error:
        raise ConfigurationError(
            f"The cursor in sync_state is not readable ({error}). Someone changed it, or a later version of this "
            "package wrote it. Delete the row of this stream and scope there: the next run then loads everything, and "
            "repeats no row."
        ) from None
