"""Record batches, and pages of JSON decoded to them: unreadable rows are rejected, each with its reason."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

import msgspec
import pyarrow as pa

from airflow_provider_toggl.core.errors import ConfigurationError, MalformedAnswer
from airflow_provider_toggl.core.json_text import (
    decode_text,
    paused_garbage_collection,
    read_json,
    show_beginning,
    split_list,
)
from airflow_provider_toggl.core.load.decode.column_types import Unreadable
from airflow_provider_toggl.core.load.decode.columns import (
    ARROW_SCHEMAS,
    NOT_CONVERTED,
    Arrays,
    arrays_of,
    build_table,
    convert_objects,
    convert_report,
    count_odd_durations,
)
from airflow_provider_toggl.core.load.decode.rows import Row, read_object, read_report_row
from airflow_provider_toggl.core.load.decode.shapes import OBJECTS, ReportRow
from airflow_provider_toggl.core.load.tables.schemas import TABLES

logger = logging.getLogger(__name__)

RAW_LIMIT = 4_194_304
"""Characters kept of a rejected record."""

MANY_REJECTED = 10
"""If at least so many rows are unreadable, and they are most of a response, the response is malformed."""

_REPORT_ROWS = msgspec.json.Decoder(list[ReportRow])
_OBJECT_ROWS: dict[str, Any] = {stream: msgspec.json.Decoder(list[shape.struct]) for stream, shape in OBJECTS.items()}  # type: ignore[name-defined]
_DATA = msgspec.json.Decoder(dict[str, msgspec.Raw])
_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, *NOT_CONVERTED)
_NEVER = datetime(1970, 1, 1, tzinfo=timezone.utc)
_logged: set[tuple[str, bool]] = set()


@dataclass(frozen=True)
class Observation:
    """Whose rows a page has, and when they were true.

    :param workspace_id: for rows without one of their own.
    :param observed_at: Toggl's clock, UTC: the ``Date`` of the response less the lag that its endpoint may have.
    """

    workspace_id: int
    observed_at: datetime


@dataclass(frozen=True)
class RejectedRecord:
    """A record that cannot be loaded; it is stored in ``rejected_records``.

    :param raw: its JSON text, at most ``RAW_LIMIT`` characters.
    :param reason: the field, its value, and why it cannot be loaded.
    :param seq: the event's number in the event store; None for a record that came from no store.
    """

    stream: str
    workspace_id: int
    raw: str
    reason: str
    observed_at: datetime
    seq: int | None = None


@dataclass(frozen=True)
class RecordText:
    """The JSON text of a record that can be loaded, as Toggl sent it.

    :param start: of a time entry, its ``start`` as Toggl sent it; None for other records.
    """

    text: bytes
    start: str | None


@dataclass(frozen=True)
class Attribution:
    """Who did what, for each row of a batch of events.

    :param actor_ids: ids of the users who did it, null where they are not known.
    :param actions: ``created``, ``updated`` or ``deleted``.
    """

    actor_ids: pa.Array
    actions: pa.Array


@dataclass(frozen=True)
class RecordBatch:
    """Rows of one stream, ready to be merged.

    :param stream: name of the stream, or that of rejected records without a table.
    :param table: the rows, with all columns of ``schemas.TABLES[stream]``.
    :param rejected: records that could not be read.
    :param unexpected_durations: entries whose duration is not from start to stop, or that stop before they start; they
        are in ``table`` as Toggl sends them.
    :param attribution: who did what; None for rows that did not come from events.
    """

    stream: str
    table: pa.Table
    rejected: tuple[RejectedRecord, ...] = ()
    unexpected_durations: int = 0
    attribution: Attribution | None = None

    @property
    def rows(self) -> int:
        """The number of rows to merge."""
        return int(self.table.num_rows)


def build_absences(stream: str, workspace_id: int, ids: Sequence[int], absent_at: datetime) -> RecordBatch:
    """Return rows whose only information is that a report lacked these ids.

    ``absent_at`` is a maximum and everything else is older than any observation. So loading them changes no field of a
    row, and nothing of a row that was seen later, in any order and any number of times.

    :param absent_at: when the report was true, by Toggl's clock, UTC.
    """
    given = {"workspace_id": workspace_id, "observed_at": _NEVER, "absent_at": absent_at}
    rows = [{"id": id_, **given} for id_ in ids]
    return RecordBatch(stream, pa.Table.from_pylist(rows, schema=ARROW_SCHEMAS[stream]))


def add_absences(batch: RecordBatch, workspace_id: int, ids: Sequence[int], absent_at: datetime) -> RecordBatch:
    """Return a batch that also says that a complete list lacked these ids, see :func:`build_absences`."""
    if not ids:
        return batch
    absences = build_absences(batch.stream, workspace_id, ids, absent_at)
    return replace(batch, table=pa.concat_tables([batch.table, absences.table]))


@paused_garbage_collection()
def decode_page(stream: str, body: bytes, observation: Observation) -> RecordBatch:
    """Decode one response of Toggl: rows of the detailed report, v9 objects, or a mixture.

    :param stream: name of the stream, which is that of its table.
    :param body: a JSON array, an envelope ``{"data": [...]}`` around one, or ``null``.
    :param observation: whose rows it has, and when they were true.
    :raises MalformedAnswer: not JSON, not a list, or more than half of its rows cannot be read.
    :raises ConfigurationError: there is no such stream.
    """
    if stream not in TABLES:
        raise ConfigurationError(f"There is no stream {stream!r}. Streams: {', '.join(TABLES)}.")
    rows = _find_list(stream, body)
    if logger.isEnabledFor(logging.DEBUG):
        _log_unknown_fields(stream, rows)
    rejected: list[RejectedRecord] = []
    try:
        arrays = _convert(stream, rows)
    except _UNDECODABLE:
        arrays, rejected = _read_row_by_row(stream, rows, observation)
    table = build_table(stream, arrays, workspace_id=observation.workspace_id, observed_at=observation.observed_at)
    odd = count_odd_durations(table) if stream == "time_entries" else 0
    return RecordBatch(stream, table, tuple(rejected), odd)


def _find_list(stream: str, body: bytes) -> bytes:
    """Return the JSON list of a response, unwrapped from ``{"data": ...}``; ``[]`` for null.

    :raises MalformedAnswer: it is an object without ``data``, or not JSON.
    """
    body = body.strip()
    if body[:1] == b"{":
        try:
            data = _find_data(body)
        except ValueError as error:
            raise _malformed(stream, body, error) from None
        if data is None:
            raise MalformedAnswer(f"The answer for {stream} is an object without `data`: {show_beginning(body)}")
        body = data.strip()
    return b"[]" if body == b"null" else body


def _find_data(body: bytes) -> bytes | None:
    try:
        data = _DATA.decode(body).get("data")
        return None if data is None else bytes(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        document = read_json(body)
        return json.dumps(document["data"]).encode() if "data" in document else None


def _convert(stream: str, body: bytes) -> Arrays:
    """Convert a page whose rows are all valid and of one shape, which nearly every page is.

    :raises _UNDECODABLE: its rows must be read one by one.
    """
    # No string value can contain these bytes: its quotes would be escaped.
    if stream == "time_entries" and b'"time_entries"' in body:
        rows = _REPORT_ROWS.decode(body)
        if 0 in {len(row.time_entries) for row in rows}:
            raise Unreadable("time_entries: empty")
        return convert_report(rows) if rows else {}
    objects = _OBJECT_ROWS[stream].decode(body)
    return convert_objects(OBJECTS[stream], objects) if objects else {}


def _read_row_by_row(stream: str, body: bytes, observation: Observation) -> tuple[Arrays, list[RejectedRecord]]:
    """Read rows one by one, and reject those that cannot be read.

    :raises MalformedAnswer: it is not a list, or most of it cannot be read.
    """
    rows: list[Row] = []
    rejected: list[RejectedRecord] = []
    for record in _read_records(stream, body):
        if isinstance(record.row, Unreadable):
            raw = decode_text(record.text)[:RAW_LIMIT]
            reason, observed_at = str(record.row), observation.observed_at
            rejected.append(RejectedRecord(stream, observation.workspace_id, raw, reason, observed_at))
        else:
            rows.append(record.row)
    if len(rejected) >= MANY_REJECTED and len(rejected) > len(rows):
        raise MalformedAnswer(
            f"{len(rejected)} of {len(rows) + len(rejected)} rows of {stream} cannot be read; the first: "
            f"{rejected[0].reason}. Nothing of this response was loaded. Try again; if it stays, Toggl has changed its "
            "format: look for a newer release."
        )
    return arrays_of(stream, rows), rejected


@paused_garbage_collection()
def read_texts(stream: str, body: bytes) -> list[RecordText]:
    """Return the JSON texts of the rows of :func:`decode_page`, in the same order, without those that it rejects.

    :param body: as for :func:`decode_page`.
    :raises MalformedAnswer: it is not a list of JSON values.
    """
    records = _read_records(stream, _find_list(stream, body))
    return [RecordText(one.text, one.start) for one in records if not isinstance(one.row, Unreadable)]


@dataclass(frozen=True)
class _Record:
    """A record of a page: its text, what its ``start`` is, and its row or why there is none."""

    text: bytes
    start: Any
    row: Row | Unreadable


def _read_records(stream: str, body: bytes) -> Iterator[_Record]:
    """Yield each record of a page. A row of the report with several entries is a record for each of them.

    :raises MalformedAnswer: it is not a list of JSON values.
    """
    try:
        texts = split_list(body)
    except ValueError as error:
        raise _malformed(stream, body, error) from None
    for text in texts:
        try:
            document = _read_row(stream, text)
            if stream == "time_entries" and isinstance(document, dict) and "time_entries" in document:
                yield from _read_report_records(document, text)
            else:
                row = read_object(OBJECTS[stream], document, text)
                yield _Record(text, document.get("start"), row)
        except Unreadable as error:
            yield _Record(text, None, error)


def _read_report_records(document: dict[str, Any], text: bytes) -> Iterator[_Record]:
    for index, found in enumerate(read_report_row(document)):
        entries = document["time_entries"]
        if not isinstance(found, dict):
            only_text, row = found[0], found[1]
            yield _Record(text if len(entries) == 1 else only_text, None, row)
            continue
        own = text if len(entries) == 1 else json.dumps({**document, "time_entries": [entries[index]]}).encode()
        yield _Record(own, entries[index].get("start"), found)


def _read_row(stream: str, text: bytes) -> Any:
    try:
        return read_json(text)
    except json.JSONDecodeError as error:
        # One row alone cannot be broken like this: the response is.
        raise _malformed(stream, text, error) from None
    except ValueError as error:
        raise Unreadable(str(error)) from None


def _malformed(stream: str, body: bytes, error: Exception) -> MalformedAnswer:
    return MalformedAnswer(
        f"The answer for {stream} is not a JSON list ({error}): {len(body)} bytes beginning {show_beginning(body)}"
    )


def _log_unknown_fields(stream: str, body: bytes) -> None:
    """Log once a process and shape which fields of Toggl no column keeps; they depend on the user's plan."""
    is_report = stream == "time_entries" and b'"time_entries"' in body
    if (stream, is_report) in _logged:
        return
    try:
        rows = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    if not isinstance(rows, list) or not rows or not isinstance(rows[0], dict):
        return
    _logged.add((stream, is_report))
    known = ReportRow if is_report else OBJECTS[stream].struct
    unknown = sorted(set(rows[0]) - set(known.__struct_fields__))
    if unknown:
        logger.debug("Fields of %s that Toggl sends and no column keeps: %s", stream, ", ".join(unknown))
