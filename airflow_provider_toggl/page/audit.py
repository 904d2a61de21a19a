"""Entries in Airflow's audit log: who ran which action of the page, with which values and outcome."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow.models.log import Log
from airflow.utils.session import create_session
from sqlalchemy import select

PREFIX = "toggl_"
"""The prefix of the events of these entries."""


@dataclass(frozen=True)
class AuditEntry:
    """An entry of the audit log."""

    number: int
    event: str
    details: dict[str, Any]


def begin_entry(event: str, owner: str, details: Mapping[str, Any]) -> int:
    """Add an entry before the action runs, and return its number."""
    with create_session(scoped=False) as session:
        entry = Log(event=PREFIX + event, owner=owner, owner_display_name=owner, extra=json.dumps(dict(details)))
        session.add(entry)
        session.flush()
        return int(entry.id)


def end_entry(number: int, outcome: str, *, failed: bool) -> None:
    """Add the outcome of the action to its entry."""
    with create_session(scoped=False) as session:
        entry = session.get(Log, number)
        if entry is not None:
            details = json.loads(entry.extra or "{}")
            entry.extra = json.dumps({**details, "failed" if failed else "outcome": outcome})


def find_entry(number: int, owner: str) -> AuditEntry | None:
    """Return an entry of this page by the person it belongs to, None if there is none."""
    with create_session(scoped=False) as session:
        entry = session.scalar(select(Log).where(Log.id == number, Log.owner == owner))
        if entry is None or not entry.event.startswith(PREFIX):
            return None
        return AuditEntry(number, entry.event.removeprefix(PREFIX), json.loads(entry.extra or "{}"))
