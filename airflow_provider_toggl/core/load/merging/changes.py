"""Which entities and days a load changed, for DAGs that compute only these again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from airflow_provider_toggl.core.load.values import MOST_CHANGED_IDS, LoadResult

if TYPE_CHECKING:
    from airflow_provider_toggl.core.load.decode.records import RecordBatch

MOST_IDS = 1_000
MOST_DAYS = 366


@dataclass
class _StreamChanges:
    observations: int = 0
    ids: set[int] = field(default_factory=set)
    days: set[date] = field(default_factory=set)
    has_more_ids: bool = False
    is_changed: bool = False

    def add_ids(self, ids: Iterable[int]) -> None:
        for id_ in ids:
            if len(self.ids) < MOST_IDS:
                self.ids.add(id_)
            elif id_ not in self.ids:
                self.has_more_ids = True


class Changes:
    """What changed, by workspace and stream, in bounded memory.

    For time entries, ids and days are those that really changed. For other streams, ids are those that were observed,
    which is more: an observation without news counts too.
    """

    def __init__(self) -> None:
        self._streams: dict[tuple[int, str], _StreamChanges] = {}

    def collect_batches(self, batches: Iterable[RecordBatch]) -> None:
        """Add the entities of batches; of time entries only their number."""
        for batch in batches:
            if not batch.rows:
                continue
            workspaces = batch.table["workspace_id"].to_pylist()
            if batch.stream == "time_entries":
                for workspace_id in workspaces:
                    self._of(workspace_id, batch.stream).observations += 1
                continue
            ids: dict[int, list[int]] = {}
            for workspace_id, id_ in zip(workspaces, batch.table["id"].to_pylist(), strict=True):
                ids.setdefault(workspace_id, []).append(id_)
            for workspace_id, found in ids.items():
                changes = self._of(workspace_id, batch.stream)
                changes.observations += len(found)
                changes.add_ids(found)

    def collect_days(self, result: LoadResult) -> None:
        """Add the time entries that a load really changed, and the days that they are and were on.

        The days say which workspace the entries belong to. For a load with entries of several, only days are added.
        """
        for workspace_id, day in result.changed_days:
            self._of(workspace_id, "time_entries").days.add(day)
        workspaces = {workspace_id for workspace_id, _ in result.changed_days}
        for workspace_id in workspaces:
            changes = self._of(workspace_id, "time_entries")
            if len(workspaces) > 1 or len(result.changed_ids) >= MOST_CHANGED_IDS:
                changes.has_more_ids = True
            else:
                changes.add_ids(result.changed_ids)

    def collect_result(self, workspace_id: int, result: LoadResult) -> None:
        """Add a load of one workspace's time entries."""
        self._of(workspace_id, "time_entries").observations += result.inserted + result.updated + result.unchanged
        self.collect_days(result)

    def mark(self, workspace_id: int, stream: str) -> None:
        """Record that a stream changed, even if no id or day of it is known."""
        self._of(workspace_id, stream).is_changed = True

    def has_changed(self, workspace_id: int, stream: str) -> bool:
        """Return whether a stream changed, or was observed where changes are not known."""
        changes = self._of(workspace_id, stream)
        return changes.is_changed or bool(changes.ids or changes.days)

    def restore(self, workspace_id: int, reported: Mapping[str, Any]) -> None:
        """Add the time entries that an earlier part of the same run reported."""
        changes = self._of(workspace_id, "time_entries")
        changes.observations += reported["observations"]
        changes.add_ids(reported["ids"])
        changes.has_more_ids |= not reported["is_complete"]

    def report(self, workspace_id: int, stream: str) -> dict[str, Any]:
        """Return what changed in a workspace's stream, as JSON values.

        ``ids`` and ``days`` have at most ``MOST_IDS`` and ``MOST_DAYS`` (the latest); ``is_complete`` says whether that
        is all. Days are those of ``time_entry_facts.local_date``.
        """
        changes = self._of(workspace_id, stream)
        days = sorted(changes.days)
        return {
            "observations": changes.observations,
            "ids": sorted(changes.ids),
            "days": [day.isoformat() for day in days[-MOST_DAYS:]],
            "is_complete": not changes.has_more_ids and len(days) <= MOST_DAYS,
        }

    def report_by_stream(self, workspace_id: int) -> dict[str, dict[str, Any]]:
        """Return what changed in each of a workspace's streams."""
        streams = [name for workspace, name in self._streams if workspace == workspace_id]
        streams = [name for name in streams if self.has_changed(workspace_id, name)]
        return {name: self.report(workspace_id, name) for name in sorted(streams)}

    def _of(self, workspace_id: int, stream: str) -> _StreamChanges:
        return self._streams.setdefault((workspace_id, stream), _StreamChanges())
