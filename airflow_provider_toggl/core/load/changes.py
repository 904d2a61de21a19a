"""Which entities and days a landing touched, for those who want to compute only these again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from airflow_provider_toggl.core.load.target import MOST_CHANGED_IDS, Landed

if TYPE_CHECKING:
    from airflow_provider_toggl.core.load.records import Batch

MOST_IDS = 1_000
MOST_DAYS = 366


@dataclass
class _Touched:
    observations: int = 0
    ids: set[int] = field(default_factory=set)
    days: set[date] = field(default_factory=set)
    has_more_ids: bool = False
    is_changed: bool = False

    def add(self, ids: Collection[int]) -> None:
        self.observations += len(ids)
        self.add_ids(ids)

    def add_ids(self, ids: Iterable[int]) -> None:
        for id_ in ids:
            if len(self.ids) < MOST_IDS:
                self.ids.add(id_)
            elif id_ not in self.ids:
                self.has_more_ids = True


class Changes:
    """What changed, by workspace and stream, in bounded memory.

    Of time entries ids and days are of those that really changed. Of other streams ids are those that were touched,
    which is more: an observation that told nothing newer counts too.
    """

    def __init__(self) -> None:
        self._touched: dict[tuple[int, str], _Touched] = {}

    def note(self, batches: Iterable[Batch]) -> None:
        """Take note of the entities of batches, time entries only by number."""
        for batch in batches:
            if batch.stream == "time_entries":
                for workspace_id in batch.table["workspace_id"].to_pylist():
                    self._of(workspace_id, batch.stream).observations += 1
                continue
            ids: dict[int, list[int]] = {}
            for workspace_id, id_ in zip(
                *(batch.table[name].to_pylist() for name in ("workspace_id", "id")), strict=True
            ):
                ids.setdefault(workspace_id, []).append(id_)
            for workspace_id, found in ids.items():
                self._of(workspace_id, batch.stream).add(found)

    def note_days(self, landed: Landed) -> None:
        """Take note of the time entries that a landing really changed, and of the days that they are and were on.

        Which workspace an entry is of is told by the days; of entries of several in one landing only days are noted.
        """
        for workspace_id, day in landed.changed_days:
            self._of(workspace_id, "time_entries").days.add(day)
        workspaces = {workspace_id for workspace_id, _ in landed.changed_days}
        for workspace_id in workspaces:
            touched = self._of(workspace_id, "time_entries")
            if len(workspaces) > 1 or len(landed.changed_ids) >= MOST_CHANGED_IDS:
                touched.has_more_ids = True
            else:
                touched.add_ids(landed.changed_ids)

    def mark(self, workspace_id: int, stream: str) -> None:
        """Take note that a stream changed, also where nothing of it can be told."""
        self._of(workspace_id, stream).is_changed = True

    def has_changed(self, workspace_id: int, stream: str) -> bool:
        """Whether something of a stream changed, or was touched where that is not known better."""
        touched = self._of(workspace_id, stream)
        return touched.is_changed or bool(touched.ids or touched.days)

    def note_changed(self, workspace_id: int, landed: Landed) -> None:
        """Take note of a landing of one workspace's time entries."""
        self._of(workspace_id, "time_entries").observations += landed.inserted + landed.updated + landed.unchanged
        self.note_days(landed)

    def restore(self, workspace_id: int, told: Mapping[str, Any]) -> None:
        """Take note of the time entries that an earlier part of the same run told."""
        touched = self._of(workspace_id, "time_entries")
        touched.observations += told["observations"]
        touched.add_ids(told["ids"])
        touched.has_more_ids |= not told["is_complete"]

    def told(self, workspace_id: int, stream: str) -> dict[str, Any]:
        """Return what changed of a workspace's stream, fit for JSON.

        ``ids`` and ``days`` (the latest are kept) are cut at ``MOST_IDS`` and ``MOST_DAYS``; ``is_complete`` says
        whether they were not. Days are those of ``time_entry_facts.local_date``.
        """
        touched = self._of(workspace_id, stream)
        days = sorted(touched.days)
        return {
            "observations": touched.observations,
            "ids": sorted(touched.ids),
            "days": [day.isoformat() for day in days[-MOST_DAYS:]],
            "is_complete": not touched.has_more_ids and len(days) <= MOST_DAYS,
        }

    def told_by_stream(self, workspace_id: int) -> dict[str, dict[str, Any]]:
        """Return what changed of each of a workspace's streams."""
        streams = [name for workspace, name in self._touched if workspace == workspace_id]
        streams = [name for name in streams if self.has_changed(workspace_id, name)]
        return {name: self.told(workspace_id, name) for name in sorted(streams)}

    def _of(self, workspace_id: int, stream: str) -> _Touched:
        return self._touched.setdefault((workspace_id, stream), _Touched())
