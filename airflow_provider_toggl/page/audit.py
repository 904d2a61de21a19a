"""Entries in Airflow's audit log: what a person did on the page, with what, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow.models.log import Log
from airflow.utils.session import create_session
from sqlalchemy import select

PREFIX = "toggl_"
"""What the events of these entries begin with."""


@dataclass(frozen=True)
class Entry:
    """An entry of the log, by its number."""

    number: int
    event: str
    details: dict[str, Any]


def begin_entry(event: str, owner: str, details: Mapping[str, Any]) -> int:
    """Write, before anything is done, who is about to do what; return the number of the entry."""
    with create_session(scoped=False) as session:
        entry = Log(event=PREFIX + event, owner=owner, owner_display_name=owner, extra=json.dumps(dict(details)))
        session.add(entry)
        session.flush()
        return int(entry.id)


def end_entry(number: int, outcome: str, *, failed: bool) -> None:
    """Add what came of it."""
    with create_session(scoped=False) as session:
        entry = session.get(Log, number)
        if entry is not None:
            details = json.loads(entry.extra or "{}")
            entry.extra = json.dumps({**details, "failed" if failed else "outcome": outcome})


def find_entry(number: int, owner: str) -> Entry | None:
    """Return an entry of this page that a person has made."""
    with create_session(scoped=False) as session:
        entry = session.scalar(select(Log).where(Log.id == number, Log.owner == owner))
        if entry is None or not entry.event.startswith(PREFIX):
            return None
        return Entry(number, entry.event.removeprefix(PREFIX), json.loads(entry.extra or "{}"))
