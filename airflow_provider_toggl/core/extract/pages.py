"""Inspect pages before they are loaded: whether a page is complete, and whether more follow. Pure."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import pairwise
from typing import Any, TypeVar

import msgspec

from airflow_provider_toggl.core.errors import MalformedAnswer
from airflow_provider_toggl.core.json_text import paused_garbage_collection, read_json, split_list
from airflow_provider_toggl.core.streams import Stream
from airflow_provider_toggl.core.wording import plural

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Page:
    """One page to load, with the progress to store in the same transaction.

    :param body: the answer's bytes.
    :param rows: how many rows it has.
    :param observed_at: the moment that the page describes, by Toggl's clock, in UTC.
    :param watermark: the stream's watermark once this page is loaded.
    :param cursor: JSON that says where to go on once this page is loaded; only this folder reads it.
    :param requests: requests that it took.
    :param complete_at: on the last page of a complete list: when reading the list began, by Toggl's clock.
    :param where: what was read, for log lines.
    :param share: the share of the window or list that is read with this page, from 0 to 1; None while unknown.
    :param known_before: rows that changed before this moment were on pages of earlier runs; None where that is unknown.
    :param absent_ids: rows that are stored, and that a complete list on this page lacks.
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
    known_before: datetime | None = None
    absent_ids: tuple[int, ...] = ()


class _Entry(msgspec.Struct, gc=False):
    id: Any = None
    at: Any = None
    start: Any = None


class _Row(msgspec.Struct, gc=False):
    time_entries: list[_Entry] = []
    row_number: Any = None


@dataclass(frozen=True)
class ReportPage:
    """What a reader needs to know about a page of a report.

    :param keys: the times that the page is ordered by, row by row; None where a row has none.
    :param first_id: id of the first entry; None on an empty page.
    :param last_id: id of the last entry.
    :param anchor_key: the time of the anchor entry; None where the page does not have that entry.
    """

    rows: int
    keys: tuple[datetime | None, ...]
    first_id: int | None
    last_id: int | None = None
    anchor_key: datetime | None = None

    @property
    def first_key(self) -> datetime | None:
        """The time of the first row that has one."""
        return next((key for key in self.keys if key is not None), None)

    @property
    def last_key(self) -> datetime | None:
        """The time of the last row that has one."""
        return next((key for key in reversed(self.keys) if key is not None), None)

    def is_ordered(self, *, descending: bool) -> bool:
        """Whether the rows are in the requested order, to the second."""
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


def retry_malformed(ask: Callable[[], T]) -> T:
    """Return what ``ask`` returns; call it once more if the answer is malformed, which a proxy may cause."""
    try:
        return ask()
    except MalformedAnswer as error:
        log.warning("%s Asking once more.", error)
    return ask()


@paused_garbage_collection()
def inspect_report(
    body: bytes, *, first_row: int, next_row: int | None, key: str, asked: str, anchor: int | None = None
) -> ReportPage:
    """Inspect a page of the detailed report.

    :param first_row: number of the first requested row.
    :param next_row: the header ``X-Next-Row-Number``; None on the last page.
    :param key: the field that the page is ordered by: ``at`` or ``start``.
    :param asked: the request, as the error names it.
    :param anchor: id of an entry whose time is wanted.
    :raises MalformedAnswer: it is not a list of rows, or rows are missing between others.
    """
    try:
        rows = _ROWS.decode(body) or []
    except _UNDECODABLE:
        # Loading rejects single rows of a wrong shape; a page of a wrong shape is an error here.
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


def as_rows(stream: Stream, body: bytes) -> bytes:
    """Return an answer as a list of objects, or an envelope of one, without the keys that are secrets.

    What is no JSON, or has another form than the stream's, stays as it is: the caller reports it.
    """
    if stream.form == "list" and not stream.secrets:
        return body
    try:
        value = read_json(body)
    except ValueError:
        return body
    if stream.form == "object" and isinstance(value, dict):
        value = [value]
    elif stream.form == "texts" and isinstance(value, list):
        value = [{stream.key[-1]: one} if isinstance(one, str) else one for one in value]
    elif stream.form == "envelopes" and isinstance(value, list) and len(value) == 1 and _is_envelope(value[0]):
        value = value[0]
    elif stream.form == "records":
        return json.dumps(_keep_whole(value), sort_keys=True).encode()
    rows = value["data"] if _is_envelope(value) else value
    for row in rows if isinstance(rows, list) else ():
        for name in stream.secrets if isinstance(row, dict) else ():
            row.pop(name, None)
    return json.dumps(value).encode()


def _keep_whole(value: Any) -> Any:
    """Return objects, or an envelope of them, each with the whole of itself as ``record``."""
    if _is_envelope(value):
        return {**value, "data": _keep_whole(value["data"])}
    if isinstance(value, list):
        return [{**row, "record": row} if isinstance(row, dict) else row for row in value]
    return value


def _is_envelope(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("data"), list)


def count_rows(body: bytes, asked: str) -> tuple[int, int | None]:
    """Return how many rows a page of a list has, and the list's total where its envelope has one.

    :param asked: the request, as the error names it.
    :raises MalformedAnswer: it is no list.
    """
    try:
        decoded = _LIST.decode(body) if body.strip() else None
    except _UNDECODABLE as error:
        return _count_undecodable(body, asked, error)
    if isinstance(decoded, _Envelope):
        return len(decoded.data or []), decoded.total_count
    return len(decoded or []), None


def is_last(rows: int, *, page: int, asked_size: int, sent_size: int | None, total: int | None) -> bool:
    """Whether a page of a numbered list is the last one.

    Most lists show their end only by a page that is not full, and not all say how many rows a full page has.

    :param asked_size: rows that were requested.
    :param sent_size: the header ``X-Page-Size``.
    :param total: rows of the whole list, where Toggl says so.
    """
    if rows == 0:
        return True
    size = sent_size or asked_size
    if total is not None:
        return page * size >= total
    # An endpoint with a smaller maximum than requested gives full pages and does not say so. Toggl's sizes are round,
    # or one more (151, 201).
    return rows < size and (rows < 50 or rows % 50 > 1)


def moment(value: Any) -> datetime | None:
    """Return a time of Toggl's in UTC; None where the value is no time."""
    if not isinstance(value, str):
        return None
    try:
        found = msgspec.convert(value, datetime)
        return found.replace(tzinfo=timezone.utc) if found.tzinfo is None else found.astimezone(timezone.utc)
    except (msgspec.ValidationError, OverflowError):
        return None


def _ends(entries: list[_Entry], key: str) -> tuple[datetime | None, ...]:
    """Return the times of the first and the last entry only, which is enough where the order is not checked."""
    ends = entries[:1] + entries[1:][-1:]
    return tuple(moment(getattr(entry, key)) for entry in ends)


def _check_whole(numbers: list[int], rows: int, first_row: int, next_row: int | None, asked: str) -> None:
    """Raise if rows are missing: they are numbered through the whole report, so a gap shows."""
    short = next_row is not None and (rows != next_row - first_row or rows == 0)
    torn = len(numbers) == rows and any(number != first_row + index for index, number in enumerate(numbers))
    if short or torn:
        upto = f" to {next_row - 1}" if next_row is not None else ""
        raise MalformedAnswer(
            f"{asked}: rows {first_row}{upto} were requested, and {plural(rows, 'row')} came with some missing. The "
            "page was not loaded; the next run asks for it again."
        )


def _read_row(text: bytes) -> _Row:
    """Return what is readable of a row of an unexpected shape."""
    with suppress(ValueError):
        return msgspec.convert(read_json(text), _Row)
    return _Row()


def _count_undecodable(body: bytes, asked: str, error: Exception) -> tuple[int, int | None]:
    """Return what :func:`count_rows` returns, for a list with values that msgspec does not read."""
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
        f"{asked}: the answer ({len(body)} bytes) is not a JSON list ({error}). It was not loaded; what was loaded "
        "before stays, and the next run asks for it again."
    )
