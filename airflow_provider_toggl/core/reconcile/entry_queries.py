"""Queries of one workspace's time entries in the warehouse, in SQL that every engine understands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_provider_toggl.core.extract.summaries import Int64s
from airflow_provider_toggl.core.load.warehouse import Warehouse
from airflow_provider_toggl.core.reconcile.compare import NEVER, Bools, EntryRows, as_ids, build_rows, from_micros

if TYPE_CHECKING:
    import pyarrow as pa

# The column of each field of ``EntryRows``, and what stands for null.
_COLUMNS = {
    "ids": ("id", 0),
    "users": ("user_id", 0),
    "projects": ("project_id", 0),
    "seconds": ("duration", 0),
    "starts": ("start", 0),
    "updated": ("updated_at", NEVER),
    "seen": ("seen_at", NEVER),
}
_SELECT = 'select id, user_id, project_id, duration, "start", updated_at, seen_at from live_time_entries'
_WHERE = 'where workspace_id = ? and "start" >= ? and "start" < ?'
#: Values of one ``in (…)``: every engine accepts so many.
_MAX_VALUES = 500


@dataclass(frozen=True)
class KnownEntities:
    """What the warehouse knows of a workspace's tags or tasks.

    :param live: ids that exist.
    :param deleted: ids that were deleted.
    :param is_complete: the complete list was loaded at least once, so an unknown id was deleted too.
    """

    live: Int64s
    deleted: Int64s
    is_complete: bool

    @property
    def may_lack_some(self) -> bool:
        """Whether any id may have been deleted."""
        return self.is_complete or len(self.deleted) > 0

    def find_deleted(self, ids: Int64s) -> Bools:
        """Return a mask of the ids that were deleted."""
        return ~np.isin(ids, self.live) if self.is_complete else np.isin(ids, self.deleted)


class EntryQueries:
    """Finds one workspace's live time entries. Ranges are microseconds since 1970, without the last one."""

    def __init__(self, target: Warehouse, workspace_id: int) -> None:
        self._target = target
        self._workspace_id = workspace_id

    def find_rows(self, begin: int, end: int) -> EntryRows:
        """Return the rows that start in a range."""
        return self._rows(f"{_SELECT} {_WHERE}", [self._workspace_id, from_micros(begin), from_micros(end)])

    def find_neighbours(self, begin: int, end: int) -> EntryRows:
        """Return some rows beside a range: the last 20 before it, and the first 20 after it."""
        before = f'{_SELECT} where workspace_id = ? and "start" < ? order by "start" desc limit 20'
        after = f'{_SELECT} where workspace_id = ? and "start" >= ? order by "start" limit 20'
        parts = [
            self._rows(before, [self._workspace_id, from_micros(begin)]),
            self._rows(after, [self._workspace_id, from_micros(end)]),
        ]
        names = list(EntryRows.__dataclass_fields__)
        return build_rows({name: np.concatenate([getattr(part, name) for part in parts]) for name in names})

    def find_live(self, ids: Int64s) -> Int64s:
        """Return which of these ids are live, on whatever day."""
        found = [as_ids(())]
        for begin in range(0, len(ids), _MAX_VALUES):
            chunk = ids[begin : begin + _MAX_VALUES].tolist()
            places = ", ".join("?" * len(chunk))
            sql = f"select id from live_time_entries where workspace_id = ? and id in ({places})"  # noqa: S608 - question marks only
            found.append(_array(self._target.query(sql, [self._workspace_id, *chunk]), "id", 0))
        return np.concatenate(found)

    def find_bounds(self) -> tuple[datetime, datetime] | None:
        """Return the starts of the first and the last row, None without rows."""
        sql = 'select min("start") as first, max("start") as last from live_time_entries where workspace_id = ?'
        table = self._target.query(sql, [self._workspace_id])
        if table.num_rows == 0 or table["first"].null_count:
            return None
        return from_micros(_array(table, "first", 0)[0]), from_micros(_array(table, "last", 0)[0])

    def find_outdated(self, begin: int, end: int) -> Int64s:
        """Return the ids of rows that start in a range and have a tag or task that was deleted."""
        tags, tasks = self._tags, self._tasks
        if not (tags.may_lack_some or tasks.may_lack_some):
            return as_ids(())
        sql = f"select id, task_id, tag_ids from live_time_entries {_WHERE}"  # noqa: S608 - a constant of this module
        table = self._target.query(sql, [self._workspace_id, from_micros(begin), from_micros(end)])
        task_ids = _array(table, "task_id", 0)
        found = [_array(table, "id", 0)[(task_ids > 0) & tasks.find_deleted(task_ids)]]
        for batch in table.select(["id", "tag_ids"]).to_batches():
            ids, own = batch.column(0).to_numpy(), batch.column(1)
            if str(own.type).startswith("list"):
                parents = own.value_parent_indices().to_numpy()[tags.find_deleted(own.flatten().to_numpy())]
                found.append(ids[np.unique(parents)])
            else:
                # An engine without lists keeps them as JSON.
                lists = [as_ids(json.loads(text or "[]") or ()) for text in own.to_pylist()]
                mask = np.fromiter((bool(tags.find_deleted(one).any()) for one in lists), np.bool_, len(lists))
                found.append(ids[mask])
        return np.unique(np.concatenate(found))

    @cached_property
    def _tags(self) -> KnownEntities:
        return self._find_known("tags")

    @cached_property
    def _tasks(self) -> KnownEntities:
        return self._find_known("tasks")

    def _find_known(self, stream: str) -> KnownEntities:
        sql = f"select id, seen_at, deleted_at, absent_at from {stream} where workspace_id = ?"  # noqa: S608 - a name of ours
        table = self._target.query(sql, [self._workspace_id])
        seen, deleted, absent = (_array(table, name, NEVER) for name in ("seen_at", "deleted_at", "absent_at"))
        is_live = seen > np.maximum(deleted, absent)
        ids = _array(table, "id", 0)
        complete = "select stream from complete_lists where stream = ? and workspace_id = ?"
        is_complete = self._target.query(complete, [stream, self._workspace_id]).num_rows > 0
        return KnownEntities(ids[is_live], ids[~is_live], is_complete)

    def _rows(self, sql: str, parameters: Sequence[Any]) -> EntryRows:
        table = self._target.query(sql, parameters)
        columns: dict[str, Any] = {name: _array(table, column, filler) for name, (column, filler) in _COLUMNS.items()}
        columns["running"] = table["duration"].is_null().to_numpy()
        return build_rows(columns)


def _array(table: pa.Table, name: str, filler: int) -> Int64s:
    # Instants become microseconds.
    found: Int64s = table[name].cast("int64").fill_null(filler).to_numpy()
    return found
