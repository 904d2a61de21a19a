"""Rows of time entries as reconciliation compares them, made of what matters to a test."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_provider_toggl.core.reconcile.compare import EntryRows, build_rows, to_micros

NOON = datetime(2026, 3, 10, 12, tzinfo=timezone.utc)
DAY = timedelta(days=1)
USUAL = {
    "users": 7,
    "projects": 1,
    "seconds": 60,
    "running": False,
    "starts": NOON - 10 * DAY,
    "updated": NOON - 2 * DAY,
    "seen": NOON - 2 * DAY,
}


def entry_rows(*entries: dict[str, Any]) -> EntryRows:
    """Return rows of entries with an ``id`` each, and what they differ in from the usual one."""
    full = [{**USUAL, "ids": entry["id"], **entry} for entry in entries]
    return build_rows(
        {
            name: [to_micros(one[name]) if isinstance(one[name], datetime) else one[name] for one in full]
            for name in ("ids", *USUAL)
        }
    )
