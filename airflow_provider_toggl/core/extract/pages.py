"""What a page of a list is, how to tell that it is whole, and whether more follow. Pure."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import pairwise
from typing import Any

import msgspec

from airflow_provider_toggl.core.errors import MalformedAnswer
from airflow_provider_toggl.core.garbage import paused_garbage_collection
from airflow_provider_toggl.core.json_text import read_json, split_list


@dataclass(frozen=True)
class Page:
    """One page on its way to be landed, with the progress to commit beside it.

    :param body: the answer's bytes as they came.
    :param rows: how many rows it has.
    :param observed_at: when Toggl's clock stood for what it shows, in UTC.
    :param watermark: the stream's watermark once this page is landed.
    :param cursor: where to go on from once this page is landed; JSON that only this folder reads.
    :param requests: requests it cost.
    :param complete_at: on the last page of a complete list: when the list began to be read, by Toggl's clock.
    :param where: what was read, for people.
    :param share: how much of the work at hand is done with it, from 0 to 1, None while unknown.
    """

    stream: str
    body: bytes
    rows: int
    observed_at: datetime
    watermark: datetime | None
    cursor: str
    requests: int
    complete_at: datetime | None = None
    where: str = ""
    share: float | None = None


class _Entry(msgspec.Struct, gc=False):
    id: Any = None
    at: Any = None
    start: Any = None


class _Row(msgspec.Struct, gc=False):
    time_entries: list[_Entry] = []
    row_number: Any = None


@dataclass(frozen=True)
class ReportPage:
    """What there is to know of a report's page before it is landed.

    :param keys: the times that the page is ordered by, row by row, None where a row has none.
    :param first_id: id of its first entry, None when it is empty.
    :param last_id: id of its last entry.
    :param anchor_key: the order's key of the entry that was looked for, None when it is not there.
    """

    rows: int
    keys: tuple[datetime | None, ...]
    first_id: int | None
    last_id: int | None = None
    anchor_key: datetime | None = None

    @property
    def first_key(self) -> datetime | None:
        """The order's key of the first row that has one."""
        return next((key for key in self.keys if key is not None), None)

    @property
    def last_key(self) -> datetime | None:
        """The order's key of the last row that has one."""
        return next((key for key in reversed(self.keys) if key is not None), None)

    def is_ordered(self, *, descending: bool) -> bool:
        """Whether the rows stand in the order that was asked for, to the second."""
        known = [int(key.timestamp()) for key in self.keys if key is not None]
        return all(a >= b if descending else a <= b for a, b in pairwise(known))


_ROWS = msgspec.json.Decoder(list[_Row] | None)
_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Envelope(msgspec.Struct):
    data: list[msgspec.Raw] | None = None
    total_count: int | None = None


class _LooseEnvelope(msgspec.Struct):
    data: list[Any] | None = None
    total_count: int | None = None


_LIST = msgspec.json.Decoder(list[msgspec.Raw] | _Envelope | None)


@paused_garbage_collection()
def inspect_report(
    body: bytes, *, first_row: int, next_row: int | None, key: str, asked: str, anchor: int | None = None
) -> ReportPage:
    """Look through a page of the detailed report.

    :param first_row: number of the first row that was asked for.
    :param next_row: what ``X-Next-Row-Number`` says, None on the last page.
    :param key: the field that the page is ordered by: ``at`` or ``start``.
    :param asked: what was asked, for the error.
    :param anchor: id of an entry to look for.
    :raises MalformedAnswer: it is not a list of rows, or rows are missing in it.
    """
    try:
        rows = _ROWS.decode(body) or []
    except _UNDECODABLE:
        # The wrong shape of one row is for landing to set aside; that of the whole page is not.
        rows = [_read_row(text) for text in _split(body, asked)]
    numbers = [row.row_number for row in rows if isinstance(row.row_number, int)]
    _check_whole(numbers, len(rows), first_row, next_row, asked)
    entries = [entry for row in rows for entry in row.time_entries[:1]]
    keys = tuple(moment(getattr(entry, key)) for entry in entries) if key == "at" else _ends(entries, key)
    found = next((entry for entry in entries if anchor is not None and entry.id == anchor), None)
    return ReportPage(
        rows=len(rows),
        keys=keys,
        first_id=_id_of(entries[:1]),
        last_id=_id_of(entries[-1:]),
        anchor_key=None if found is None else moment(getattr(found, key)),
    )


def _id_of(entries: list[_Entry]) -> int | None:
    return next((entry.id for entry in entries if isinstance(entry.id, int)), None)


def count_rows(body: bytes, asked: str) -> tuple[int, int | None]:
    """Return how many rows a list has, and the total that its envelope tells, None without one.

    :raises MalformedAnswer: it is no list.
    """
    try:
        decoded = _LIST.decode(body) if body.strip() else None
    except _UNDECODABLE as error:
        return _count_undecodable(body, asked, error)
    if isinstance(decoded, _Envelope):
        return len(decoded.data or []), decoded.total_count
    return len(decoded or []), None


def is_last(rows: int, *, page: int, asked_size: int, told_size: int | None, total: int | None) -> bool:
    """Whether a page of a numbered list is its last.

    Toggl tells the end of most lists only by a page that is not full, and the size of a full page not always.

    :param asked_size: rows that were asked for.
    :param told_size: what ``X-Page-Size`` says.
    :param total: rows of the whole list, where told.
    """
    if rows == 0:
        return True
    size = told_size or asked_size
    if total is not None:
        return page * size >= total
    # An endpoint with a smaller maximum than was asked for gives full pages and says nothing. Toggl's sizes are round,
    # or one more (151, 201).
    return rows < size and (rows < 50 or rows % 50 > 1)


def moment(value: Any) -> datetime | None:
    """Return a time of Toggl's as an aware UTC datetime, None where it is none."""
    if not isinstance(value, str):
        return None
    try:
        found = msgspec.convert(value, datetime)
        return found.replace(tzinfo=timezone.utc) if found.tzinfo is None else found.astimezone(timezone.utc)
    except (msgspec.ValidationError, OverflowError):
        return None


def _ends(entries: list[_Entry], key: str) -> tuple[datetime | None, ...]:
    """Return the keys of the first and the last entry only: enough where the order needs no proof, and cheap."""
    ends = entries[:1] + entries[1:][-1:]
    return tuple(moment(getattr(entry, key)) for entry in ends)


def _check_whole(numbers: list[int], rows: int, first_row: int, next_row: int | None, asked: str) -> None:
    """Rows are numbered through the whole report: a gap, or a page that ends before the next begins, lacks rows."""
    short = next_row is not None and (rows != next_row - first_row or rows == 0)
    torn = len(numbers) == rows and any(number != first_row + index for index, number in enumerate(numbers))
    if short or torn:
        upto = f" to {next_row - 1}" if next_row is not None else ""
        raise MalformedAnswer(
            f"{asked}: rows {first_row}{upto} were asked for and {rows} came, with some missing between. Nothing of "
            "the page was "
            "landed; the next run asks for it again."
        )


def _read_row(text: bytes) -> _Row:
    """Return what is known of a row that is not as it should be."""
    with suppress(ValueError):
        return msgspec.convert(read_json(text), _Row)
    return _Row()


def _count_undecodable(body: bytes, asked: str, error: Exception) -> tuple[int, int | None]:
    """Return what :func:`count_rows` does of a list that holds what msgspec does not read."""
    if body.lstrip()[:1] != b"{":
        return len(_split(body, asked)), None
    try:
        envelope = msgspec.convert(read_json(body), _LooseEnvelope)
    except ValueError:
        raise _malformed(body, asked, error) from None
    return len(envelope.data or []), envelope.total_count


def _split(body: bytes, asked: str) -> list[bytes]:
    try:
        return split_list(body)
    except ValueError as error:
        raise _malformed(body, asked, error) from None


def _malformed(body: bytes, asked: str, error: Exception) -> MalformedAnswer:
    return MalformedAnswer(
        f"{asked}: the answer ({len(body)} bytes) is not a JSON list ({error}). Nothing of it was landed; what was "
        "landed before "
        "stays, and the next run asks for it again."
    )
