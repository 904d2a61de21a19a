"""Rows of Toggl's answers, batches of decoded rows, and queries of the warehouse."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb

from airflow_provider_toggl.core.load.decode.records import Observation, RecordBatch, decode_page

WORKSPACE = 7
WORDS = ("review", "design", "meeting", "invoice", "call", "fix", "planning", "support", "notes", "größere Änderung")
NOON = datetime(2025, 6, 1, 12, tzinfo=timezone.utc)


def at(seconds: float) -> datetime:
    """Return the time ``seconds`` after noon."""
    return NOON + timedelta(seconds=seconds)


def report_row(id_: int = 1, **fields: Any) -> dict[str, Any]:
    """Return a row of a detailed report with one time entry; ``fields`` are of the row or of the entry."""
    entry = {
        "id": id_,
        "seconds": 2700,
        "start": "2025-05-01T00:00:00-08:00",
        "stop": "2025-05-01T00:45:00-08:00",
        "at": "2025-05-02T17:03:50+00:00",
    }
    row: dict[str, Any] = {
        "user_id": 10,
        "username": "A Person",
        "project_id": 20,
        "task_id": None,
        "billable": False,
        "description": "Work",
        "tag_ids": [],
        "billable_amount_in_cents": None,
        "hourly_rate_in_cents": None,
        "currency": "USD",
        "time_entries": [entry],
        "row_number": 1,
    }
    for name, value in fields.items():
        (entry if name in entry else row)[name] = value
    return row


def v9_entry(id_: int = 1, **fields: Any) -> dict[str, Any]:
    """Return a time entry as in v9 and webhooks."""
    return {
        "id": id_,
        "workspace_id": WORKSPACE,
        "project_id": 20,
        "task_id": None,
        "billable": False,
        "start": "2025-05-01T08:00:00+00:00",
        "stop": "2025-05-01T08:45:00+00:00",
        "duration": 2700,
        "description": "Work",
        "tags": [],
        "tag_ids": [],
        "duronly": True,
        "at": "2025-05-02T17:03:50.123456Z",
        "server_deleted_at": None,
        "user_id": 10,
        "uid": 10,
        "wid": WORKSPACE,
        **fields,
    }


def page(*rows: Any) -> bytes:
    """Return the body of an answer with these rows."""
    return json.dumps(list(rows)).encode()


def decode(stream: str, *rows: Any, seconds: float = 0.0, workspace_id: int = WORKSPACE) -> RecordBatch:
    """Return the decoded batch of rows that were observed ``seconds`` after noon."""
    return decode_page(stream, page(*rows), Observation(workspace_id, at(seconds)))


def entries(*ids: int, seconds: float = 0.0, **fields: Any) -> RecordBatch:
    """Return a batch of report rows that differ only in their ids."""
    return decode("time_entries", *(report_row(id_, **fields) for id_ in ids), seconds=seconds)


def varied_entries(count: int, *, first_id: int = 1, seconds: float = 0.0, suffix: str = "") -> RecordBatch:
    """Return a batch of report rows that differ as those of a workspace do, so that they compress like them.

    :param first_id: the others follow it.
    :param suffix: ends each description.
    """
    rng = random.Random(count)
    return decode("time_entries", *(_vary(rng, first_id + number, suffix) for number in range(count)), seconds=seconds)


def _vary(rng: random.Random, id_: int, suffix: str) -> dict[str, Any]:
    start = datetime(2025, 1, 1, tzinfo=timezone.utc) + timedelta(minutes=3 * id_)
    duration = timedelta(seconds=rng.randrange(60, 14_400))
    return report_row(
        id_,
        seconds=round(duration.total_seconds()),
        start=start.isoformat(),
        stop=(start + duration).isoformat(),
        at=(start + duration).isoformat(),
        user_id=rng.randrange(40),
        project_id=rng.randrange(120),
        billable=rng.random() < 0.5,
        tag_ids=[rng.randrange(60) for _ in range(rng.randrange(3))],
        description=" ".join(rng.choices(WORDS, k=rng.randrange(2, 9))) + suffix,
    )


def tags(*ids: int, seconds: float = 0.0, workspace_id: int = WORKSPACE) -> RecordBatch:
    """Return a batch of tags."""
    rows = [{"id": id_, "name": f"tag {id_}", "at": "2025-05-02T17:03:50+00:00"} for id_ in ids]
    return decode("tags", *rows, seconds=seconds, workspace_id=workspace_id)


def query(path: Path, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run a query in a connection of its own, with the package's schema as the current one."""
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("set schema = 'toggl'").fetchall()
        return connection.execute(sql, list(parameters)).fetchall()
