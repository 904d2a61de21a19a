"""What the warehouse is asked by reconciliation, in SQL that any engine understands."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_provider_toggl.core.extract.compare import NEVER, Rows, as_ids, build_rows, instant
from airflow_provider_toggl.core.extract.sums import Int64s
from airflow_provider_toggl.core.land.target import Target

if TYPE_CHECKING:
    import pyarrow as pa

# The columns of ``Rows``, and what stands in them for null.
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
_OF = 'where workspace_id = ? and "start" >= ? and "start" < ?'
#: Values of one ``in (…)``: more than engines take at once is never asked.
_MOST = 500


class Warehouse:
    """One workspace's live time entries."""

    def __init__(self, target: Target, workspace_id: int) -> None:
        self._target = target
        self._workspace_id = workspace_id

    def rows(self, begin: int, end: int) -> Rows:
        """Return the rows that start between two instants, in microseconds since 1970; the last not included."""
        return self._rows(f"{_SELECT} {_OF}", [self._workspace_id, instant(begin), instant(end)])

    def neighbours(self, begin: int, end: int) -> Rows:
        """Return some rows beside a range: the last ones before it, and the first ones after it."""
        before = f'{_SELECT} where workspace_id = ? and "start" < ? order by "start" desc limit 20'
        after = f'{_SELECT} where workspace_id = ? and "start" >= ? order by "start" limit 20'
        return joined(
            self._rows(before, [self._workspace_id, instant(begin)]),
            self._rows(after, [self._workspace_id, instant(end)]),
        )

    def live_among(self, ids: Int64s) -> Int64s:
        """Return which of these ids are live, on whatever day."""
        found = [as_ids(())]
        for chunk in _chunks(ids.tolist()):
            places = ", ".join("?" * len(chunk))
            sql = f"select id from live_time_entries where workspace_id = ? and id in ({places})"  # noqa: S608 - question marks only
            found.append(_array(self._target.query(sql, [self._workspace_id, *chunk]), "id", 0))
        return np.concatenate(found)

    def bounds(self) -> tuple[datetime, datetime] | None:
        """Return the starts of the first and the last row, None where there is none."""
        sql = 'select min("start") as first, max("start") as last from live_time_entries where workspace_id = ?'
        table = self._target.query(sql, [self._workspace_id])
        if table.num_rows == 0 or table["first"].null_count:
            return None
        return instant(_array(table, "first", 0)[0]), instant(_array(table, "last", 0)[0])

    def dead(self, stream: str) -> list[int]:
        """Return the tags or tasks that are gone."""
        sql = f"select id, seen_at, deleted_at, absent_at from {stream} where workspace_id = ?"  # noqa: S608 - a name of ours
        table = self._target.query(sql, [self._workspace_id])
        seen, deleted, absent = (_array(table, name, NEVER) for name in ("seen_at", "deleted_at", "absent_at"))
        died = np.maximum(deleted, absent)
        found: list[int] = _array(table, "id", 0)[(died >= seen) & (died > NEVER)].tolist()
        return found

    def tagged(self, begin: int, end: int, tag_ids: Sequence[int]) -> Int64s:
        """Return the ids of rows that start between two instants and have one of these tags."""
        if not tag_ids:
            return as_ids(())
        sql = f"select id, tag_ids from live_time_entries {_OF}"  # noqa: S608 - a constant of this module
        table = self._target.query(sql, [self._workspace_id, instant(begin), instant(end)])
        wanted = as_ids(tag_ids)
        found = [as_ids(())]
        for batch in table.to_batches():
            ids, own = batch.column(0).to_numpy(), batch.column(1)
            if str(own.type).startswith("list"):
                parents = own.value_parent_indices().to_numpy()[np.isin(own.flatten().to_numpy(), wanted)]
                found.append(ids[np.unique(parents)])
            else:
                # An engine without lists keeps them as JSON.
                kept = [not set(tag_ids).isdisjoint(json.loads(text or "[]") or ()) for text in own.to_pylist()]
                found.append(ids[np.array(kept, np.bool_)])
        return np.concatenate(found)

    def of_tasks(self, begin: int, end: int, task_ids: Sequence[int]) -> Int64s:
        """Return the ids of rows that start between two instants and have one of these tasks."""
        if not task_ids:
            return as_ids(())
        sql = f"select id, task_id from live_time_entries {_OF} and task_id is not null"  # noqa: S608 - a constant of this module
        table = self._target.query(sql, [self._workspace_id, instant(begin), instant(end)])
        ids, tasks = _array(table, "id", 0), _array(table, "task_id", 0)
        return ids[np.isin(tasks, as_ids(task_ids))]

    def _rows(self, sql: str, parameters: Sequence[Any]) -> Rows:
        table = self._target.query(sql, parameters)
        columns: dict[str, Any] = {name: _array(table, column, filler) for name, (column, filler) in _COLUMNS.items()}
        columns["running"] = table["duration"].is_null().to_numpy()
        return build_rows(columns)


def joined(*parts: Rows) -> Rows:
    """Return rows of several sources as one, in order of their ids."""
    names = list(Rows.__dataclass_fields__)
    return build_rows({name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def _array(table: pa.Table, name: str, filler: int) -> Int64s:
    # Instants become microseconds.
    found: Int64s = table[name].cast("int64").fill_null(filler).to_numpy()
    return found


def _chunks(values: Sequence[int]) -> Iterator[Sequence[int]]:
    for begin in range(0, len(values), _MOST):
        yield values[begin : begin + _MOST]
