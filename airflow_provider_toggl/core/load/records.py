"""Pages of JSON to typed records: what can be read becomes a batch, what cannot is kept with the reason."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import pyarrow as pa

from airflow_provider_toggl.core.errors import ConfigurationError, MalformedAnswer
from airflow_provider_toggl.core.garbage import uncollected
from airflow_provider_toggl.core.json_text import beginning_of, read_json, split_list
from airflow_provider_toggl.core.load.column_types import Unreadable
from airflow_provider_toggl.core.load.columns import (
    NOT_CONVERTED,
    Arrays,
    arrays_of,
    build_table,
    convert_objects,
    convert_report,
    count_odd_durations,
)
from airflow_provider_toggl.core.load.rows import Row, read_object, read_report_row
from airflow_provider_toggl.core.load.schemas import TABLES
from airflow_provider_toggl.core.load.shapes import OBJECTS, ReportRow

logger = logging.getLogger(__name__)

RAW_LIMIT = 4_194_304
"""Characters kept of a rejected record."""

MANY_REJECTED = 10
"""From so many unreadable rows on, and when they are most of an answer, it is the answer that is wrong."""

_REPORT_ROWS = msgspec.json.Decoder(list[ReportRow])
_OBJECT_ROWS: dict[str, Any] = {stream: msgspec.json.Decoder(list[shape.struct]) for stream, shape in OBJECTS.items()}  # type: ignore[name-defined]
_DATA = msgspec.json.Decoder(dict[str, msgspec.Raw])
_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, *NOT_CONVERTED)
_logged: set[tuple[str, bool]] = set()


@dataclass(frozen=True)
class Observation:
    """What a page speaks of, and when it was true.

    :param workspace_id: for rows that do not say theirs.
    :param observed_at: Toggl's clock, UTC: the ``Date`` of the answer less the lag that its endpoint may have.
    """

    workspace_id: int
    observed_at: datetime


@dataclass(frozen=True)
class Rejected:
    """A record that cannot be landed.

    :param raw: its JSON text, capped.
    :param reason: the field, its value, and why it cannot be landed.
    :param seq: of an event, its number in the event store, where it came from one.
    """

    stream: str
    workspace_id: int
    raw: str
    reason: str
    observed_at: datetime
    seq: int | None = None


@dataclass(frozen=True)
class Told:
    """Who and what told the rows of a batch that came by events, row by row.

    :param actor_ids: ids of the users who did it, null where it is not known.
    :param actions: ``created``, ``updated`` or ``deleted``.
    """

    actor_ids: pa.Array
    actions: pa.Array


@dataclass(frozen=True)
class Batch:
    """Rows of one stream, ready to be merged.

    :param stream: name of the stream.
    :param table: the rows, with all columns of ``schemas.TABLES[stream]``.
    :param rejected: what could not be read.
    :param unexpected_durations: entries whose duration is not from start to stop, or that stop before they start; they
        are in ``table`` as Toggl gives them.
    :param told: who did it; None where it was not events that told the rows.
    """

    stream: str
    table: pa.Table
    rejected: tuple[Rejected, ...] = ()
    unexpected_durations: int = 0
    told: Told | None = None

    @property
    def rows(self) -> int:
        """How many rows there are to merge."""
        return int(self.table.num_rows)


@uncollected()
def decode_page(stream: str, body: bytes, observation: Observation) -> Batch:
    """Read one answer of Toggl: rows of the detailed report, v9 objects, or a mixture.

    :param stream: name of the stream, which is that of its table.
    :param body: a JSON array, an envelope ``{"data": [...]}`` around one, or ``null``.
    :param observation: whose it is and when it was true.
    :raises MalformedAnswer: not JSON, not a list, or more than half of its rows cannot be read.
    :raises ConfigurationError: there is no such stream.
    """
    if stream not in TABLES:
        raise ConfigurationError(f"There is no stream {stream!r}. Streams: {', '.join(TABLES)}.")
    rows = _find_list(stream, body)
    if logger.isEnabledFor(logging.DEBUG):
        _log_unknown_fields(stream, rows)
    rejected: list[Rejected] = []
    try:
        arrays = _convert(stream, rows)
    except _UNDECODABLE:
        arrays, rejected = _read_row_by_row(stream, rows, observation)
    table = build_table(stream, arrays, workspace_id=observation.workspace_id, observed_at=observation.observed_at)
    odd = count_odd_durations(table) if stream == "time_entries" else 0
    return Batch(stream, table, tuple(rejected), odd)


def _find_list(stream: str, body: bytes) -> bytes:
    """Return the JSON list of an answer, also when it is wrapped in ``{"data": ...}`` or given as null.

    :raises MalformedAnswer: it is an object without ``data``, or not JSON.
    """
    body = body.strip()
    if body[:1] == b"{":
        try:
            data = _find_data(body)
        except ValueError as error:
            raise _malformed(stream, body, error) from None
        if data is None:
            raise MalformedAnswer(f"The answer for {stream} is an object without `data`: {beginning_of(body)}")
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
    """Convert a page whose rows are all of one shape and all right, which is nearly every page.

    :raises _UNDECODABLE: its rows must be read one by one.
    """
    # No quoted string can contain these bytes: within one, its quotes would be escaped.
    if stream == "time_entries" and b'"time_entries"' in body:
        rows = _REPORT_ROWS.decode(body)
        if 0 in {len(row.time_entries) for row in rows}:
            raise Unreadable("time_entries: empty")
        return convert_report(rows) if rows else {}
    objects = _OBJECT_ROWS[stream].decode(body)
    return convert_objects(OBJECTS[stream], objects) if objects else {}


def _read_row_by_row(stream: str, body: bytes, observation: Observation) -> tuple[Arrays, list[Rejected]]:
    """Read rows one by one, and set aside those that cannot be read.

    :raises MalformedAnswer: it is not a list, or most of it cannot be read.
    """
    rows: list[Row] = []
    rejected: list[Rejected] = []

    def reject(text: bytes, error: Unreadable) -> None:
        raw = text.decode(errors="replace")[:RAW_LIMIT]
        rejected.append(Rejected(stream, observation.workspace_id, raw, str(error), observation.observed_at))

    try:
        texts = split_list(body)
    except ValueError as error:
        raise _malformed(stream, body, error) from None
    for text in texts:
        try:
            document = _read_row(stream, text)
            if stream == "time_entries" and isinstance(document, dict) and "time_entries" in document:
                for found in read_report_row(document):
                    if isinstance(found, dict):
                        rows.append(found)
                    else:
                        only_one = len(document["time_entries"]) == 1
                        reject(text if only_one else found[0], found[1])
            else:
                rows.append(read_object(OBJECTS[stream], document, text))
        except Unreadable as error:
            reject(text, error)
    if len(rejected) >= MANY_REJECTED and len(rejected) > len(rows):
        raise MalformedAnswer(
            f"{len(rejected)} of {len(rows) + len(rejected)} rows of {stream} cannot be read; the first: "
            f"{rejected[0].reason}. Nothing of this answer was landed. Try again; if it stays, Toggl has changed its "
            "format: look for a newer release."
        )
    return arrays_of(stream, rows), rejected


def _read_row(stream: str, text: bytes) -> Any:
    try:
        return read_json(text)
    except json.JSONDecodeError as error:
        # One row alone cannot be broken like this: the answer is.
        raise _malformed(stream, text, error) from None
    except ValueError as error:
        raise Unreadable(str(error)) from None


def _malformed(stream: str, body: bytes, error: Exception) -> MalformedAnswer:
    return MalformedAnswer(
        f"The answer for {stream} is not a JSON list ({error}): {len(body)} bytes beginning {beginning_of(body)}"
    )


def _log_unknown_fields(stream: str, body: bytes) -> None:
    """Say once a process and shape which fields of Toggl are not kept; they change with the user's plan."""
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
