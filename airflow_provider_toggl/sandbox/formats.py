"""Toggl's formats of times and money, and ids derived from a record."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from airflow_provider_toggl.sandbox.workspace.records import AuditRecord, Invoice, TimesheetEvent, User


def seconds_z(moment: datetime) -> str:
    """Format a UTC time in whole seconds with ``Z``."""
    return moment.isoformat()[:19] + "Z"


def seconds_offset(moment: datetime) -> str:
    """Format a UTC time in whole seconds with ``+00:00``."""
    return moment.isoformat(timespec="seconds")


def micros_z(moment: datetime) -> str:
    """Format a UTC time with microseconds and ``Z``, without trailing zeros, as Go does."""
    if not moment.microsecond:
        return moment.isoformat()[:19] + "Z"
    return moment.isoformat()[:26].rstrip("0") + "Z"


def seconds_or_none(moment: datetime | None) -> str | None:
    """Format a time as ``seconds_offset`` does; None stays None."""
    return None if moment is None else seconds_offset(moment)


@lru_cache(maxsize=64)
def zone_of(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name."""
    return ZoneInfo(name)


def accounts_id(user: User) -> str:
    """Return the user's id at Toggl's accounts service: 22 characters, derived from the user id."""
    digest = hashlib.sha256(f"toggl-account-{user.id}".encode()).digest()[:16]
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def invoice_items(invoice: Invoice) -> list[dict[str, object]]:
    """Return the items of an invoice, with amounts in units of its currency."""
    return [
        {"item_id": number, "description": text, "quantity": quantity, "amount": units(cents)}
        for number, (quantity, cents, text) in enumerate(invoice.items, 1)
    ]


def units(cents: int | None) -> float | int | None:
    """Return money in units of its currency, as v9 does: an integer if there are no cents."""
    if cents is None:
        return None
    return cents // 100 if cents % 100 == 0 else cents / 100


def audit_record(record: AuditRecord, *, time_key: str = "created_at") -> dict[str, object]:
    """Return the JSON of a record of the audit log.

    :param time_key: the key of its time.
    """
    return {
        "id": record.id,
        "organization_id": record.organization_id,
        "workspace_id": record.workspace_id,
        "user_id": record.user_id,
        "action": record.action,
        "entity_type": record.entity_type,
        "entity_id": record.entity_id,
        time_key: micros_z(record.at),
    }


def timesheet_event(event: TimesheetEvent) -> dict[str, object]:
    """Return the JSON of a record in the history of a timesheet."""
    return {
        "id": event.id,
        "user_id": event.user_id,
        "action": event.action,
        "comment": event.comment,
        "created_at": micros_z(event.at),
    }
