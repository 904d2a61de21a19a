"""Which entities and days a landing touched, for those who want to compute only these again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from airflow_provider_toggl.core.land.target import Landed

if TYPE_CHECKING:
    from airflow_provider_toggl.core.land.records import Batch

MOST_IDS = 1_000
MOST_DAYS = 366


@dataclass
class _Touched:
    observations: int = 0
    ids: set[int] = field(default_factory=set)
    days: set[date] = field(default_factory=set)
    has_more_ids: bool = False

    def add(self, ids: Iterable[int]) -> None:
        for id_ in ids:
            self.observations += 1
            if len(self.ids) < MOST_IDS:
                self.ids.add(id_)
            elif id_ not in self.ids:
                self.has_more_ids = True


class Changes:
    """What was touched, by workspace and stream, in bounded memory.

    Touched is more than changed: an observation that told nothing newer counts too, though not for ``days``.
    """

    def __init__(self) -> None:
        self._touched: dict[tuple[int, str], _Touched] = {}

    def note(self, batches: Iterable[Batch]) -> None:
        """Take note of the entities of batches."""
        for batch in batches:
            ids: dict[int, list[int]] = {}
            for workspace_id, id_ in zip(
                *(batch.table[name].to_pylist() for name in ("workspace_id", "id")), strict=True
            ):
                ids.setdefault(workspace_id, []).append(id_)
            for workspace_id, found in ids.items():
                self._of(workspace_id, batch.stream).add(found)

    def note_days(self, landed: Landed) -> None:
        """Take note of the days of time entries that a landing really changed."""
        for workspace_id, day in landed.changed_days:
            self._of(workspace_id, "time_entries").days.add(day)

    def told(self, workspace_id: int, stream: str) -> dict[str, Any]:
        """Return what was touched of a workspace's stream, fit for JSON.

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
        """Return what was touched of each of a workspace's streams."""
        streams = [stream for workspace, stream in self._touched if workspace == workspace_id]
        return {stream: self.told(workspace_id, stream) for stream in sorted(streams)}

    def _of(self, workspace_id: int, stream: str) -> _Touched:
        return self._touched.setdefault((workspace_id, stream), _Touched())
