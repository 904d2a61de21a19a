"""One row at a time, for pages where something is wrong or unusual: say which field it is."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec

from airflow_provider_toggl.core.instants import parse_instant
from airflow_provider_toggl.core.land.shapes import OBJECTS, REPORT_TIMES, ReportRow


class Unreadable(ValueError):
    """A row cannot be landed; the text says which field and why."""


def check_object(stream: str, row: Any) -> None:
    """Refuse a v9 object that lacks what its table cannot do without; a deleted one needs its id only.

    :raises Unreadable: a field is missing or null.
    """
    if stream == "groups" and row.group_id is None and row.id is None:
        raise Unreadable("group_id: missing")
    if row.server_deleted_at is None and row.deleted_at is None:
        for name in OBJECTS[stream].required:
            if getattr(row, name) is None:
                raise Unreadable(f"{name}: missing")


def read_report_row(raw: msgspec.Raw) -> ReportRow:
    """Read a row of the detailed report and bring its instants to one form.

    :raises Unreadable: an instant is none, or there is no entry in the row.
    :raises msgspec.ValidationError: a field is missing or of another type.
    """
    row = msgspec.json.decode(raw, type=ReportRow)
    if not row.time_entries:
        raise Unreadable("time_entries: empty")
    for index, entry in enumerate(row.time_entries):
        _tidy_instants(entry, REPORT_TIMES, f"time_entries[{index}].")
    return row


def read_object(stream: str, raw: msgspec.Raw) -> msgspec.Struct:
    """Read a v9 object and bring its instants to one form.

    :raises Unreadable: a field is missing, or a time is none.
    :raises msgspec.ValidationError: a field is of another type.
    """
    row: msgspec.Struct = msgspec.json.decode(raw, type=OBJECTS[stream].struct)
    check_object(stream, row)
    tidy_object(stream, row)
    return row


def tidy_object(stream: str, row: msgspec.Struct) -> None:
    """Bring the instants of an object to one form.

    :raises Unreadable: an instant or a date is none.
    """
    shape = OBJECTS[stream]
    _tidy_instants(row, shape.times)
    for name in shape.dates:
        day = getattr(row, name)
        try:
            date.fromisoformat((day or "2000-01-01")[:10])
        except ValueError:
            raise Unreadable(f"{name}: not a date: {day[:40]!r}") from None


def _tidy_instants(row: msgspec.Struct, names: tuple[str, ...], path: str = "") -> None:
    for name in names:
        text = getattr(row, name)
        if text is None:
            continue
        try:
            setattr(row, name, parse_instant(text).isoformat())
        except ValueError as error:
            raise Unreadable(f"{path}{name}: {error}") from None
