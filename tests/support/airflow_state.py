"""Describe what a test's Airflow is doing, for the error of a wait in vain. It reads files only."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

PACKAGE = "airflow_provider_toggl"
MAX_LINES, MAX_EVENTS = 100, 30
"""The most of each: a longer message would be cut where it is shown."""

# Kwargs are left out: they are long, and most are encrypted.
_TABLES = {
    "task instances that have not succeeded": """
        select dag_id, run_id, task_id, map_index, try_number, state, trigger_id, updated_at from task_instance
        where state is null or state not in ('success', 'skipped', 'removed') order by updated_at
    """,
    "triggers": "select id, triggerer_id, created_date from trigger order by id",
    "jobs": "select id, job_type, state, latest_heartbeat from job where state = 'running' order by id",
}


def describe_airflow(home: Path) -> str:
    """Return the unfinished task instances, the triggers and jobs, the events and consumers, and the triggers' logs.

    :param home: the ``AIRFLOW_HOME``; its metadata database is ``airflow.db``, its event store the default one.
    """
    return "\n".join(
        [
            *_describe_metadata(home / "airflow.db"),
            *_describe_events(home / "toggl" / "events.sqlite"),
            *_describe_trigger_logs(home / "logs"),
        ]
    )


def lines_of_package(log: str) -> str:
    """Return the lines of a process's log that this package wrote, and the begin and end of each trigger."""
    marks = (f"[{PACKAGE}.", "Starting the triggerer", " starting ", "Trigger fired event", "trigger completed")
    return "\n".join([line for line in log.splitlines() if any(mark in line for mark in marks)][-MAX_LINES:])


def _describe_metadata(database: Path) -> Iterator[str]:
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
            db.row_factory = sqlite3.Row
            for name, statement in _TABLES.items():
                yield from _table(name, [dict(row) for row in db.execute(statement)])
    except sqlite3.Error as error:
        yield f"--- {database.name} cannot be read: {error}"


def _describe_events(file: Path) -> Iterator[str]:
    if not file.exists():
        return
    # A benchmark runs an Airflow in an environment that lacks the package.
    from airflow_provider_toggl.core.errors import EventStoreError
    from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore

    try:
        with SqliteEventStore(file) as store:
            events = store.read(store.last_seq() - MAX_EVENTS)
            consumers = store.consumers()
    except EventStoreError as error:
        yield f"--- {file.name} cannot be read: {error}"
        return
    yield from _table(
        "events",
        [
            {
                "seq": one.seq,
                "entity": one.event.entity,
                "entity_id": one.event.entity_id,
                "action": one.event.action,
                "created_at": one.event.created_at,
                "received_at": one.event.received_at,
            }
            for one in events
        ],
    )
    yield from _table("consumers", [vars(one) for one in consumers])


def _describe_trigger_logs(folder: Path) -> Iterator[str]:
    """Yield the logs that triggers of tasks have written; those of watchers are in the triggerer's."""
    files = sorted(folder.rglob("*.trigger.*.log"), key=lambda file: file.stat().st_mtime)
    for file in files[-3:]:
        yield f"--- {file.relative_to(folder)}"
        yield from file.read_text(errors="replace").splitlines()[-20:]


def _table(name: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    yield f"--- {name}: {len(rows)}"
    for row in rows:
        yield "  ".join(f"{key}={value}" for key, value in row.items())
