"""Compare a warehouse with the truth of a sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import requests
from psycopg.rows import dict_row

STREAMS = ("time_entries", "projects", "clients", "tags", "tasks", "users", "project_users", "groups")
"""The first streams, whose truth has the sandbox's own names; that of the others has the columns of the tables."""
_ENTRY_FIELDS = ("workspace_id", "user_id", "project_id", "task_id", "billable")


Source = Path | str | Callable[[str], list[dict[str, Any]]]
"""A DuckDB file, the DSN of a PostgreSQL database, or a function that returns the rows of a query of another one."""


def truth(url: str, stream: str) -> dict[int, dict[str, Any]]:
    """Return the records of a stream by id, deleted ones included."""
    return {row["id"]: row for row in requests.get(f"{url}/sandbox/truth/{stream}", timeout=60).json()}


def rows(path: Source, query: str) -> list[dict[str, Any]]:
    """Return a query's rows, with times in UTC."""
    if callable(path):
        return path(query)
    if isinstance(path, str):
        with psycopg.connect(path, options="-c timezone=UTC", row_factory=dict_row) as server:
            return server.execute(query).fetchall()
    with duckdb.connect(str(path), read_only=True) as db:
        db.execute("SET TimeZone = 'UTC'")
        cursor = db.execute(query)
        names = [column[0] for column in cursor.description or []]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def live(path: Source, stream: str, schema: str = "toggl") -> dict[int, dict[str, Any]]:
    """Return the live rows of a stream's table, by id."""
    is_live = (
        "seen_at IS NOT NULL AND (deleted_at IS NULL OR seen_at > deleted_at) "
        "AND (absent_at IS NULL OR seen_at > absent_at)"
    )
    return {row["id"]: row for row in rows(path, f'SELECT * FROM "{schema}"."{stream}" WHERE {is_live}')}


def entry_differences(path: Source, url: str, *, with_deletions: bool = True) -> list[str]:
    """Return how the time entries of a warehouse differ from the truth; empty if they are equal.

    :param with_deletions: False ignores entries that were deleted in Toggl and are still in the table.
    """
    wanted = {key: row for key, row in truth(url, "time_entries").items() if not row["deleted_at"]}
    found = live(path, "time_entries")
    words = [f"entry {key} is missing" for key in wanted.keys() - found.keys()]
    if with_deletions:
        words += [f"entry {key} should be gone" for key in found.keys() - wanted.keys()]
    gone_tags = {key for key, row in truth(url, "tags").items() if row["deleted_at"]}
    for key in wanted.keys() & found.keys():
        words += _entry_differences(wanted[key], found[key], gone_tags)
    return words


def entity_differences(path: Source, url: str, stream: str) -> list[str]:
    """Return how a table of entities differs from the truth, by ids and names."""
    wanted = {key: row for key, row in truth(url, stream).items() if not row.get("deleted_at")}
    # The list of users does not show who was removed.
    found = live(path, stream)
    if stream == "users":
        found = {key: row for key, row in found.items() if key in wanted}
    words = [f"{stream} {key} is missing" for key in wanted.keys() - found.keys()]
    words += [f"{stream} {key} should be gone" for key in found.keys() - wanted.keys()]
    for key in wanted.keys() & found.keys():
        if stream not in STREAMS:
            words += _column_differences(stream, wanted[key], found[key])
            continue
        name = "fullname" if stream == "users" else "name"
        if wanted[key].get(name) != found[key].get(name):
            words.append(f"{stream} {key} is called {found[key].get(name)!r}, not {wanted[key].get(name)!r}")
    return words


def differences(
    path: Source, url: str, *, with_deletions: bool = True, streams: tuple[str, ...] = STREAMS
) -> list[str]:
    """Return how the whole warehouse differs from the truth, or time entries and some of the other streams."""
    words = entry_differences(path, url, with_deletions=with_deletions)
    for stream in streams[1:]:
        words += entity_differences(path, url, stream)
    return words


def _column_differences(stream: str, wanted: dict[str, Any], found: dict[str, Any]) -> list[str]:
    return [
        f"{stream} {wanted['id']}: {name} is {_plain(found[name])!r}, not {value!r}"
        for name, value in wanted.items()
        if name in found and name != "deleted_at" and _plain(found[name]) != value
    ]


def _plain(value: Any) -> Any:
    """Return a value as the truth has it."""
    if isinstance(value, datetime):
        return _text(value)
    if isinstance(value, str) and value[:1] in ("[", "{"):
        return json.loads(value)
    return value.isoformat() if isinstance(value, date) else value


def _entry_differences(wanted: dict[str, Any], found: dict[str, Any], gone_tags: set[int]) -> list[str]:
    expected = {field: wanted[field] for field in _ENTRY_FIELDS} | {
        "description": wanted["description"] or None,
        # The deletion of a tag does not change the `at` of its entries, so no pull sees it.
        "tag_ids": set(wanted["tag_ids"]) - gone_tags,
        "start": wanted["start"],
        "stop": wanted["stop"],
        "duration": None if wanted["running"] else wanted["duration"],
    }
    actual = {field: found[field] for field in _ENTRY_FIELDS} | {
        "description": found["description"] or None,
        "tag_ids": set(_list(found["tag_ids"])) - gone_tags,
        "start": _text(found["start"]),
        "stop": _text(found["stop"]),
        "duration": found["duration"],
    }
    return [
        f"entry {wanted['id']}: {field} is {actual[field]!r}, not {value!r}"
        for field, value in expected.items()
        if actual[field] != value
    ]


def _list(value: Any) -> list[int]:
    """Return a list, which some engines have as JSON text."""
    return json.loads(value) if isinstance(value, str) else value or []


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")
