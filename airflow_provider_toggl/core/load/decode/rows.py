"""One row at a time, field by field: the values of its columns, or the field that cannot be read and why.

These functions decide what can be loaded, from pages and events alike. The decoders of whole pages are faster, and
accept only what these functions accept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from airflow_provider_toggl.core.load.decode.column_types import COLUMN_TYPES, Unreadable, json_text, shown
from airflow_provider_toggl.core.load.decode.shapes import REPORT_ENTRY, REPORT_ROW, Field, Shape

Row = dict[str, Any]
"""Values by column; with ``at`` and ``deleted_at``, from which the five times are derived."""

_MUST_HAVE = ("user_id", "project_id", "task_id", "billable", "description", "tag_ids", "time_entries")


def read_object(shape: Shape, document: Any, text: bytes | None = None, *, needs_all: bool = True) -> Row:
    """Return the row of an object of v9 or of a webhook.

    :param document: the object, decoded.
    :param text: its JSON text, from which JSON columns keep theirs; None if there is no such text.
    :param needs_all: refuse an object without its required fields; a deleted one requires its key only.
    :raises Unreadable: it is no object, a field has a value that its column cannot hold, or a required one is missing.
    """
    if not isinstance(document, dict):
        raise Unreadable(f"{shown(document)} is not an object")
    row = _read_fields(shape.fields, document)
    if shape.json_struct is not None and text is not None:
        row |= _find_json_texts(shape, text)
    if needs_all:
        for name in (*shape.identity, *(shape.required if row["deleted_at"] is None else ())):
            if row[name] is None:
                raise Unreadable(f"{shape.field(name).keys[0]}: missing")
    return row


def read_report_row(document: dict[str, Any]) -> Iterator[Row | tuple[bytes, Unreadable]]:
    """Yield a row for each entry in a row of the detailed report, or an unreadable entry's text and what is wrong.

    :raises Unreadable: the fields that its entries share cannot be read, or there are no entries.
    """
    for name in _MUST_HAVE:
        if name not in document:
            raise Unreadable(f"{name}: missing")
    shared = _read_fields(REPORT_ROW, document)
    if shared["user_id"] is None:
        raise Unreadable("user_id: missing")
    entries = document["time_entries"]
    if not isinstance(entries, list):
        raise Unreadable(f"time_entries: {shown(entries)} is not a list")
    if not entries:
        raise Unreadable("time_entries: empty")
    for index, entry in enumerate(entries):
        try:
            yield shared | _read_entry(entry, f"time_entries[{index}]")
        except Unreadable as error:
            yield json.dumps({**document, "time_entries": [entry]}).encode(), error


def _read_entry(entry: Any, path: str) -> Row:
    if not isinstance(entry, dict):
        raise Unreadable(f"{path}: {shown(entry)} is not an object")
    row = _read_fields(REPORT_ENTRY, entry, f"{path}.")
    for field in REPORT_ENTRY:
        if row[field.column] is None and field.column != "stop":
            raise Unreadable(f"{path}.{field.keys[0]}: missing")
    return row


def _read_fields(fields: Iterable[Field], document: dict[str, Any], path: str = "") -> Row:
    row: Row = {}
    for field in fields:
        parse = COLUMN_TYPES[field.type].parse
        value = None
        for key in field.keys:
            given = document.get(key)
            if given is None:
                continue
            try:
                value = parse(given)
            except ValueError as error:
                raise Unreadable(f"{path}{key}: {error}") from None
            if value is not None:
                break
        row[field.column] = value
    return row


def _find_json_texts(shape: Shape, text: bytes) -> Row:
    """Return the texts of an object's JSON columns as they were sent; none if one of them is not valid JSON."""
    try:
        found = msgspec.json.decode(text, type=shape.json_struct)
        return {name: json_text(getattr(found, name)) for name in found.__struct_fields__}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, Unreadable):
        return {}
