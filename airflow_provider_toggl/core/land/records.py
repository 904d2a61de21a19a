"""Pages of JSON to typed records: what can be read becomes a batch, what cannot is kept with the reason."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import pyarrow as pa

from airflow_provider_toggl.core.errors import ConfigurationError, MalformedAnswer
from airflow_provider_toggl.core.garbage import uncollected
from airflow_provider_toggl.core.land.columns import (
    build_table,
    count_odd_durations,
    object_columns,
    report_columns,
)
from airflow_provider_toggl.core.land.json_text import begin_of, read_reason, repair_surrogates, unwrap_list
from airflow_provider_toggl.core.land.rows import Unreadable, check_object, read_object, read_report_row
from airflow_provider_toggl.core.land.schemas import TABLES
from airflow_provider_toggl.core.land.shapes import OBJECTS, ReportRow

logger = logging.getLogger(__name__)

RAW_LIMIT = 4_194_304
"""Characters kept of a rejected record."""

MANY_REJECTED = 10
"""From so many unreadable rows on, and when they are most of an answer, it is the answer that is wrong."""

_REPORT_ROWS = msgspec.json.Decoder(list[ReportRow])
_OBJECT_ROWS: dict[str, Any] = {stream: msgspec.json.Decoder(list[shape.struct]) for stream, shape in OBJECTS.items()}  # type: ignore[name-defined]
_RAW_ROWS = msgspec.json.Decoder(list[msgspec.Raw])
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
    """A record that cannot be landed: its JSON text (capped) and the reason, which names the field."""

    stream: str
    workspace_id: int
    raw: str
    reason: str
    observed_at: datetime


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
    :param odd_durations: entries whose duration is not from start to stop, or that stop before they start; they are
        in ``table`` as Toggl gives them.
    :param told: who did it; None where it was not events that told the rows.
    """

    stream: str
    table: pa.Table
    rejected: tuple[Rejected, ...] = ()
    odd_durations: int = 0
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
    try:
        return _decode_repaired(stream, body, observation)
    except RecursionError:
        raise MalformedAnswer(f"The answer for {stream} is nested without end: {begin_of(body)}") from None


def _decode_repaired(stream: str, body: bytes, observation: Observation) -> Batch:
    try:
        return _decode(stream, unwrap_list(stream, body), observation)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _decode(stream, unwrap_list(stream, repair_surrogates(stream, body)), observation)


def _decode(stream: str, body: bytes, observation: Observation) -> Batch:
    if logger.isEnabledFor(logging.DEBUG):
        _log_unknown_fields(stream, body)
    rejected: list[Rejected] = []
    try:
        columns = _read_page(stream, body)
        table = build_table(stream, columns, observation.workspace_id, observation.observed_at)
    except (msgspec.ValidationError, pa.ArrowInvalid, Unreadable):
        table, rejected = _decode_row_by_row(stream, body, observation)
    odd = count_odd_durations(table) if stream == "time_entries" else 0
    return Batch(stream, table, tuple(rejected), odd)


def _read_page(stream: str, body: bytes) -> dict[str, Any]:
    """Read a page whose rows are all of one shape and all right, which is nearly every page."""
    # No quoted string can contain these bytes: within one, its quotes would be escaped.
    if stream == "time_entries" and b'"time_entries"' in body:
        rows = _REPORT_ROWS.decode(body)
        if 0 in {len(row.time_entries) for row in rows}:
            raise Unreadable("time_entries: empty")
        return report_columns(rows)
    objects = _OBJECT_ROWS[stream].decode(body)
    for row in objects:
        check_object(stream, row)
    return object_columns(stream, objects)


def _decode_row_by_row(stream: str, body: bytes, observation: Observation) -> tuple[pa.Table, list[Rejected]]:
    reports: list[ReportRow] = []
    objects: list[msgspec.Struct] = []
    rejected: list[Rejected] = []
    rows = _raw_rows(stream, body)
    for raw in rows:
        try:
            if stream == "time_entries" and _is_report_row(raw):
                reports.append(read_report_row(raw))
            else:
                objects.append(read_object(stream, raw))
        except (Unreadable, msgspec.ValidationError) as error:
            text = bytes(raw).decode(errors="replace")[:RAW_LIMIT]
            rejected.append(
                Rejected(stream, observation.workspace_id, text, read_reason(error), observation.observed_at)
            )
    if len(rejected) >= MANY_REJECTED and len(rejected) * 2 > len(rows):
        raise MalformedAnswer(
            f"{len(rejected)} of {len(rows)} rows of {stream} cannot be read; the first: {rejected[0].reason}. "
            "Nothing of this answer was landed. Try again; if it stays, Toggl has changed its format: look for a newer "
            "release."
        )
    tables = [
        build_table(stream, columns, observation.workspace_id, observation.observed_at)
        for columns in (report_columns(reports), object_columns(stream, objects))
    ]
    return pa.concat_tables(tables), rejected


def _raw_rows(stream: str, body: bytes) -> list[msgspec.Raw]:
    try:
        return _RAW_ROWS.decode(body)
    except msgspec.ValidationError:
        raise MalformedAnswer(f"The answer for {stream} is JSON but not a list: {begin_of(body)}") from None


def _is_report_row(raw: msgspec.Raw) -> bool:
    if b'"time_entries"' not in bytes(raw):
        return False
    row = msgspec.json.decode(raw)
    return isinstance(row, dict) and "time_entries" in row


def _log_unknown_fields(stream: str, body: bytes) -> None:
    """Say once a process and shape which fields of Toggl are not kept; they change with the user's plan."""
    is_report = stream == "time_entries" and b'"time_entries"' in body
    if (stream, is_report) in _logged:
        return
    try:
        rows = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    if not isinstance(rows, list) or not rows or not isinstance(rows[0], dict):
        return
    _logged.add((stream, is_report))
    known = ReportRow if is_report else OBJECTS[stream].struct
    unknown = sorted(set(rows[0]) - set(known.__struct_fields__))
    if unknown:
        logger.debug("Fields of %s that Toggl sends and no column keeps: %s", stream, ", ".join(unknown))
