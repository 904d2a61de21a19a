"""What the warehouse is asked by reconciliation, in SQL that any engine understands."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_provider_toggl.core.extract.summaries import Int64s
from airflow_provider_toggl.core.load.target import Target
from airflow_provider_toggl.core.reconcile.compare import NEVER, Bools, EntryRows, as_ids, build_rows, instant

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


@dataclass(frozen=True)
class KnownEntities:
    """The tags or tasks of a workspace.

    :param is_whole: whether all of them were ever listed: then what is not known is gone, too.
    """

    live: Int64s
    dead: Int64s
    is_whole: bool

    @property
    def has_gone(self) -> bool:
        """Whether any may be gone."""
        return self.is_whole or len(self.dead) > 0

    def lacks(self, ids: Int64s) -> Bools:
        """Return which of these are gone."""
        return ~np.isin(ids, self.live) if self.is_whole else np.isin(ids, self.dead)


class EntryQueries:
    """One workspace's live time entries."""

    def __init__(self, target: Target, workspace_id: int) -> None:
        self._target = target
        self._workspace_id = workspace_id

    def rows(self, begin: int, end: int) -> EntryRows:
        """Return the rows that start between two instants, in microseconds since 1970; the last not included."""
        return self._rows(f"{_SELECT} {_OF}", [self._workspace_id, instant(begin), instant(end)])

    def neighbours(self, begin: int, end: int) -> EntryRows:
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

    def existing(self, stream: str) -> KnownEntities:
        """Return which tags or tasks there are, as far as that is known."""
        sql = f"select id, seen_at, deleted_at, absent_at from {stream} where workspace_id = ?"  # noqa: S608 - a name of ours
        table = self._target.query(sql, [self._workspace_id])
        seen, deleted, absent = (_array(table, name, NEVER) for name in ("seen_at", "deleted_at", "absent_at"))
        is_live = seen > np.maximum(deleted, absent)
        ids = _array(table, "id", 0)
        whole = "select stream from complete_lists where stream = ? and workspace_id = ?"
        is_whole = self._target.query(whole, [stream, self._workspace_id]).num_rows > 0
        return KnownEntities(ids[is_live], ids[~is_live], is_whole)

    def doubtful(self, begin: int, end: int, tags: KnownEntities, tasks: KnownEntities) -> Int64s:
        """Return the ids of rows that start between two instants and have a tag or task that is gone."""
        sql = f"select id, task_id, tag_ids from live_time_entries {_OF}"  # noqa: S608 - a constant of this module
        table = self._target.query(sql, [self._workspace_id, instant(begin), instant(end)])
        found = [as_ids(())]
        of_task = _array(table, "task_id", 0)
        found.append(_array(table, "id", 0)[(of_task > 0) & tasks.lacks(of_task)])
        for batch in table.select(["id", "tag_ids"]).to_batches():
            ids, own = batch.column(0).to_numpy(), batch.column(1)
            if str(own.type).startswith("list"):
                parents = own.value_parent_indices().to_numpy()[tags.lacks(own.flatten().to_numpy())]
                found.append(ids[np.unique(parents)])
            else:
                # An engine without lists keeps them as JSON.
                lists = [as_ids(json.loads(text or "[]") or ()) for text in own.to_pylist()]
                found.append(ids[np.fromiter((bool(tags.lacks(one).any()) for one in lists), np.bool_, len(lists))])
        return np.unique(np.concatenate(found))

    def _rows(self, sql: str, parameters: Sequence[Any]) -> EntryRows:
        table = self._target.query(sql, parameters)
        columns: dict[str, Any] = {name: _array(table, column, filler) for name, (column, filler) in _COLUMNS.items()}
        columns["running"] = table["duration"].is_null().to_numpy()
        return build_rows(columns)


def joined(*parts: EntryRows) -> EntryRows:
    """Return rows of several sources as one, in order of their ids."""
    names = list(EntryRows.__dataclass_fields__)
    return build_rows({name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def _array(table: pa.Table, name: str, filler: int) -> Int64s:
    # Instants become microseconds.
    found: Int64s = table[name].cast("int64").fill_null(filler).to_numpy()
    return found


def _chunks(values: Sequence[int]) -> Iterator[Sequence[int]]:
    for begin in range(0, len(values), _MOST):
        yield values[begin : begin + _MOST]
