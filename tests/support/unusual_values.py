"""Unusual values of fields, as JSON texts, and answers and events that contain them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from support.toggl_rows import NOON, WORKSPACE, report_row
from support.webhook_events import entry_payload, received_event, webhook_body

from airflow_provider_toggl.core.errors import DeliveryRefused
from airflow_provider_toggl.core.events.model import NewEvent
from airflow_provider_toggl.core.streams import STREAM_BY_ENTITY

AT = "2025-05-02T17:03:50+00:00"
MARK = "the unusual value"

#: An object of each webhook entity.
OBJECTS: dict[str, dict[str, Any]] = {
    "time_entry": entry_payload(1),
    "project": {
        "id": 1, "workspace_id": WORKSPACE, "client_id": 5, "name": "P", "active": True, "at": AT, "created_at": AT,
        "rate": 12.5, "recurring_parameters": [7], "start_date": "2025-05-01", "estimated_seconds": 3600,
    },
    "client": {"id": 1, "workspace_id": WORKSPACE, "name": "C", "archived": False, "at": AT},
    "tag": {"id": 1, "workspace_id": WORKSPACE, "name": "T", "at": AT},
    "task": {"id": 1, "workspace_id": WORKSPACE, "project_id": 20, "name": "T", "at": AT},
    "project_user": {"id": 1, "workspace_id": WORKSPACE, "project_id": 20, "user_id": 10, "at": AT},
    "project_group": {"id": 1, "workspace_id": WORKSPACE, "project_id": 20, "group_id": 30},
    "workspace_user": {
        "id": 77, "user_id": 1, "workspace_id": WORKSPACE, "name": "A Person", "email": "a@b.c", "at": AT,
    },
}  # fmt: skip
#: A user in the lists of users.
USER = {"id": 1, "workspace_id": WORKSPACE, "fullname": "A Person", "email": "a@b.c"}
USER_KEYS = {"user_id": "id", "name": "fullname", "active": "is_active", "admin": "is_admin"}

#: Keys of report rows by the v9 keys for the same column.
REPORT_KEYS = {"duration": "seconds"}

TEXTS = [
    *("", " ", "x", "true", "false", "null", "0", "1", "3600", "3600.0", "1e3", "NaN", "Infinity", "١٢", "\ufeff"),
    *("\U0001f600", "a\0b", "\0", "'; drop table x; --", '"', "\\", "line\nfeed\r\t", "ü" * 20_000),
]
DATES = [
    *("2026-01-01", "2024-02-29", "0001-01-01", "1969-12-31", "9999-12-31", "2026-02-29", "2026-02-30", "2026-13-01"),
    *("0000-00-00", "0000-01-01", "10000-01-01", "-0001-01-01", "20260101", "2026-W01-1", "2026-001", "2026-1-1"),
    *("01/02/2026", "2026-01-01 ", " 2026-01-01", "2026-01-01x", "2026-01-01T", "\uff12026-01-01", "2026-01"),
    *("2026-01-01T00:00:00Z", "2026-01-01 23:00:00-05:00", "2026-01-01T25:00:00Z", "2026-01-01Tx"),
]
INSTANTS = [
    *("2026-01-01T08:00:00Z", "2026-01-01T08:00:00+00:00", "2026-01-01t08:00:00z", "2026-01-01 08:00:00Z"),
    *("2026-01-01T08:00Z", "2026-01-01T08Z", "2026-01-01Z", "2026-01-01T08:00:00", "2026-01-01T08:00:00 Z"),
    *(f"2026-01-01T08:00:00.{'123456789'[:digits]}Z" for digits in range(1, 10)),
    *("2026-01-01T08:00:00.Z", "2026-01-01T08:00:00.1234567891Z", "2026-01-01T08:00:00,5Z"),
    *("2026-01-01T08:00:00+02", "2026-01-01T08:00:00+0200", "2026-01-01T08:00:00+02:00", "2026-01-01T08:00:00-00:00"),
    *("2026-01-01T08:00:00+14:00", "2026-01-01T08:00:00-12:00", "2026-01-01T08:00:00+23:59"),
    *("2026-01-01T08:00:00+24:00", "2026-01-01T08:00:00+02:60", "2026-01-01T08:00:00+2:00"),
    "2026-01-01T08:00:00 Europe",
    *("2026-01-01T24:00:00Z", "2026-01-01T23:59:60Z", "2026-06-30T23:59:60Z", "2026-01-01T08:60:00Z"),
    *("20260101T080000Z", "2026-W01-1T08:00:00Z", "2026-02-30T08:00:00Z", "1767254400", "2026-01-01T08:00:00Z\n"),
    *("0001-01-01T00:00:00Z", "0001-01-01T23:59:59Z", "0001-01-02T00:00:00Z", "0001-01-01T00:00:00+05:00"),
    *("0000-12-31T23:00:00-05:00", "0000-01-01T00:00:00Z", "1969-12-31T23:59:59.5Z", "1000-01-01T00:00:00Z"),
    *("9999-12-29T23:59:59Z", "9999-12-30T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999999999Z"),
    *("9999-12-31T23:59:59-05:00", "10000-01-01T00:00:00Z", "-0001-01-01T00:00:00Z"),
]
NUMBERS = [
    *("0", "1", "-1", "-0", "2", "3600", "-3600", "3600.0", "1e3", "1E3", "0.5", "-0.0", "1e-400", "1e999", "-1e999"),
    *("9007199254740992.0", "9007199254740993.0", "1e16", "1e22", "1e308", "9223372036854775807"),
    "-9223372036854775808",
    *("9223372036854775808", "-9223372036854775809", "18446744073709551616", "1" + "0" * 400, "1" + "0" * 5000),
    *("NaN", "Infinity", "-Infinity"),
]
OTHERS = [
    *("null", "true", "false", "[]", "[1]", "[1,1,2]", "[null]", '["1"]', "[1.0]", "[1.5]", "[[1]]", "[true]"),
    "[1e999]",
    *("{}", '{"a":1}', '{"a":1,"a":2}', '{"a":NaN}', '{"a":"\\ud800"}', '{"a":"\\u0000"}', '{"user_id":1}'),
    *('[{"user_id":1}]', '[{"user_id":null}]', '[{"user_id":"1"}]', "[{}]", f"[{'1,' * 500}1]"),
    *('[ 1 , {"b" : 0.10, "a" : 1e2} ]', f"[{'1' + '0' * 400}]", '"\\ud800"', '"a\\udc00b"', '"\\ud83d\\ude00"'),
    *("[" * 40 + "]" * 40, '{"a":' * 40 + "1" + "}" * 40),
]
COMMON = [*map(json.dumps, TEXTS), *NUMBERS, *OTHERS]
TIMES = [json.dumps(text) for text in (*DATES, *INSTANTS)]


def literals_for(type_: str) -> list[str]:
    """Return the values to try in a column of a type."""
    return COMMON + (TIMES if type_ in ("timestamp", "start", "date") else TIMES[::9])


@dataclass(frozen=True)
class ObjectForms:
    """One object as a list, an event and, for time entries, a report contain it.

    :param page: the row of a list.
    :param event: as stored by a receiver.
    :param report: the row of a report; None if reports have no such field.
    """

    stream: str
    page: bytes
    event: NewEvent
    report: bytes | None


def object_with(entity: str, key: str, literal: str, *, id_: int = 1) -> ObjectForms:
    """Return an object with a JSON text as the value of one field.

    :param key: the name of the field in webhooks.
    """
    stream = STREAM_BY_ENTITY[entity]
    fields = {**OBJECTS[entity], key: MARK}
    if key != "id" and entity != "workspace_user":
        fields["id"] = id_
    if key != "user_id" and entity == "workspace_user":
        fields["user_id"] = id_
    listed = fields
    if entity == "workspace_user":
        listed = {**USER, "id": id_, USER_KEYS.get(key, key): MARK}
    report = _report(key, id_) if entity == "time_entry" else None
    raw = put(webhook_body(entity, "updated", fields, event_id=id_, metadata={f"{entity}_id": str(id_)}), literal)
    return ObjectForms(
        stream,
        put(json.dumps(listed).encode(), literal),
        _store(raw, entity, id_),
        None if report is None else put(json.dumps(report).encode(), literal),
    )


def put(text: bytes, literal: str) -> bytes:
    """Replace the mark in a JSON text."""
    return text.replace(json.dumps(MARK).encode(), literal.encode())


def _report(key: str, id_: int) -> dict[str, Any] | None:
    name = REPORT_KEYS.get(key, key)
    row = report_row(id_)
    if name in row["time_entries"][0] or (name in row and name != "time_entries"):
        return report_row(id_, **{name: MARK}) if name != "id" else report_row(MARK)  # type: ignore[arg-type]
    return None


def _store(raw: bytes, entity: str, id_: int) -> NewEvent:
    """Return the event as a receiver stores it; one that receivers refuse now, as an earlier version stored it."""
    try:
        return received_event(raw)
    except DeliveryRefused:
        return NewEvent(1, id_, raw, NOON, "toggl_default", WORKSPACE, entity, "updated", id_, NOON)
